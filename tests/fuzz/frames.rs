//! The frames between a container's init and its parent, sent over a real socket pair.

use crun_lite::init::message::{ChildEnd, FromInit, ParentEnd, ToInit};
use crun_lite::sys::{open, socket};
use proptest::prelude::*;
use std::os::fd::{AsRawFd, OwnedFd};

fn pair() -> (OwnedFd, OwnedFd) {
    let (one, other) = socket::pair().expect("socketpair");
    (open::own(one), open::own(other))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frame_is_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let (sender, receiver) = pair();
        socket::send(sender.as_raw_fd(), &bytes, &[]).expect("send");
        let _ = ParentEnd(receiver.as_raw_fd()).receive();
        socket::send(sender.as_raw_fd(), &bytes, &[]).expect("send");
        let _ = ChildEnd(receiver.as_raw_fd()).receive();
        // What was decoded is encoded to the same again.
        if let Some(message) = FromInit::decode(&bytes) {
            ChildEnd(sender.as_raw_fd()).send(message, &[]).expect("send");
            let received = ParentEnd(receiver.as_raw_fd()).receive().expect("receive");
            prop_assert_eq!(received.map(|(message, _)| message), Some(message));
        }
    }
}

#[test]
fn every_word_of_the_parent_arrives() {
    for word in [
        ToInit::Continue,
        ToInit::Cgroup,
        ToInit::Wait,
        ToInit::Start,
    ] {
        let (sender, receiver) = pair();
        ParentEnd(sender.as_raw_fd()).send(word, &[]).expect("send");
        let (received, _) = ChildEnd(receiver.as_raw_fd()).receive().expect("receive");
        assert_eq!(received, word);
    }
}
