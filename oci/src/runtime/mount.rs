//! SPEC(config.md#mounts) and the id mappings that mounts and user namespaces share.

object! {
    /// One entry of `mounts`.
    pub struct Mount {
        /// Where, in the container. Relative paths are taken from `/`.
        pub destination: String,
        /// Device, directory or dummy name.
        pub source: String,
        /// File system type; ignored for bind mounts.
        #[serde(rename = "type")]
        pub kind: String,
        /// Mount options: flags by name, anything else is data for the file system.
        pub options: Vec<String>,
        /// User id mappings of an idmapped mount.
        pub uid_mappings: Vec<IdMapping>,
        /// Group id mappings of an idmapped mount.
        pub gid_mappings: Vec<IdMapping>,
    }
}

object! {
    /// A range of ids. SPEC(config-linux.md#user-namespace-mappings).
    #[derive(Copy, Eq)]
    pub struct IdMapping {
        /// First id in the container.
        #[serde(rename = "containerID")]
        pub container_id: u32,
        /// First id on the host.
        #[serde(rename = "hostID")]
        pub host_id: u32,
        /// Number of ids.
        pub size: u32,
    }
}
