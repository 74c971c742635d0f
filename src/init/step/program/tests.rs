//! HOME from a passwd file that may say anything.

use super::home_of;

#[test]
fn home_is_the_sixth_field_of_exactly_that_user() {
    assert_eq!(
        home_of(b"root:x:0:0:root:/root:/bin/sh", 0),
        Some(&b"/root"[..])
    );
    assert_eq!(
        home_of(b"www:x:33:33::/var/www:", 33),
        Some(&b"/var/www"[..])
    );
    assert_eq!(home_of(b"root:x:0:0:root:/root:/bin/sh", 1), None);
}

#[test]
fn odd_user_ids_match_nobody() {
    // CVE-2016-3697, CVE-2024-40635: no overflow, no sign, no trailing text becomes 0.
    for id in ["4294967296", "-1", "0x0", " 0", "+0", "", "99999999999"] {
        assert_eq!(
            home_of(format!("a:x:{id}:0::/evil:").as_bytes(), 0),
            None,
            "{id}"
        );
    }
}
