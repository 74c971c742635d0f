#!/usr/bin/python3
"""A pod's life by CRI, as the kubelet leads it: the words are steps, done in order in one pod.

    pod.py SOCKET HANDLER run sleep 1000 -- exec echo hi -- update -- stop

Debian 12 has no crictl: this is the smallest client of containerd's CRI plugin. Messages: cri.proto, compiled at start.
"""
import os
import shutil
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
compiled = tempfile.mkdtemp()
subprocess.run(["protoc", f"-I{here}", f"--python_out={compiled}", f"{here}/cri.proto"], check=True)
sys.path.insert(0, compiled)
import cri_pb2 as cri  # noqa: E402
import grpc  # noqa: E402

shutil.rmtree(compiled)

STATES = ["created", "running", "exited", "unknown"]
socket, handler = sys.argv[1:3]
channel = grpc.insecure_channel(f"unix://{socket}")


def call(method, request, answer=cri.Nothing):
    """One call; a refusal is printed as the kubelet would show it."""
    function = channel.unary_unary(
        f"/runtime.v1.RuntimeService/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return function(request, timeout=50)


def sandbox_config(options):
    name = f"pod-{os.getpid()}"
    linux = cri.SandboxLinux(cgroup_parent=f"/kubepods/{name}", sysctls=options.get("sysctls", {}))
    linux.security.namespaces.network = options.get("network", 2)
    linux.security.privileged = "privileged" in sys.argv
    return cri.SandboxConfig(
        metadata=cri.SandboxMetadata(name=name, uid=name, space="test"),
        # As the kubelet does: the host's network comes with the host's name.
        hostname=name if "network" in options else "",
        log_directory=f"/run/{name}",
        linux=linux,
    )


class Pod:
    def __init__(self, options):
        self.config = sandbox_config(options)
        self.id = call("RunPodSandbox", cri.RunSandbox(config=self.config, handler=handler), cri.Sandbox).id
        self.count = 0
        self.container = None

    def create(self, command, **linux):
        self.count += 1
        config = cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name=f"c{self.count}"),
            image=cri.Image(image="docker.io/library/bb:bb"),
            command=command,
            log_path=f"c{self.count}.log",
        )
        config.linux.resources.memory_bytes = 32 << 20
        config.linux.resources.oom_score_adj = 500
        config.linux.security.namespaces.network = self.config.linux.security.namespaces.network
        config.linux.security.namespaces.pid = 1
        for name, value in linux.items():
            setattr(config.linux.security, name, value)
        request = cri.CreateContainer(sandbox=self.id, config=config, sandbox_config=self.config)
        self.container = call("CreateContainer", request, cri.Container).id
        call("StartContainer", cri.Container(id=self.container))

    def run(self, *command):
        self.create(command)

    def privileged(self, *command):
        self.create(command, privileged=True)

    def read_only(self, *command):
        self.create(command, read_only=True)

    def exec(self, *command):
        answer = call("ExecSync", cri.Exec(id=self.container, command=command, timeout=20), cri.ExecAnswer)
        sys.stdout.write(answer.stdout.decode() + answer.stderr.decode())
        if answer.exit_code:
            print("exit code", answer.exit_code)

    def update(self, memory_bytes):
        request = cri.UpdateContainer(id=self.container)
        request.linux.memory_bytes = int(memory_bytes)
        call("UpdateContainerResources", request)

    def status(self):
        answer = call("ContainerStatus", cri.Container(id=self.container), cri.ContainerStatusAnswer).status
        print(STATES[answer.state], answer.exit_code, answer.reason)

    def handler(self):
        print(call("PodSandboxStatus", cri.Sandbox(id=self.id), cri.SandboxStatusAnswer).status.handler)

    def address(self):
        print(call("PodSandboxStatus", cri.Sandbox(id=self.id), cri.SandboxStatusAnswer).status.network.ip)

    def stop(self):
        call("StopContainer", cri.StopContainer(id=self.container, timeout=10))

    def log(self):
        with open(f"{self.config.log_directory}/c{self.count}.log") as lines:
            for line in lines:
                print(line.split(" ", 3)[3], end="")

    def remove(self):
        call("StopPodSandbox", cri.Sandbox(id=self.id))
        call("RemovePodSandbox", cri.Sandbox(id=self.id))


def steps(words):
    step = []
    for word in [*words, "--"]:
        if word != "--":
            step.append(word)
        elif step:
            yield step
            step = []


options = {}
words = sys.argv[3:]
if words[0] == "own-network":
    options = {"network": 0, "sysctls": {"net.ipv4.ip_forward": "0"}}
    words = words[1:]
try:
    pod = Pod(options)
except grpc.RpcError as refused:
    sys.exit(f"refused: {refused.details()}")
try:
    for name, *arguments in steps(words):
        try:
            getattr(pod, name)(*arguments)
        except grpc.RpcError as refused:
            print(name, "refused:", refused.details())
finally:
    pod.remove()
