//! Rust as text: blanking what is no code, finding functions and enumerations, cutting out unit tests.
//!
//! Enough of a lexer for rustfmt's output; it knows nothing of the rules.

/// The text with comments, strings and characters replaced by spaces; line breaks stay.
pub fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = token_end(bytes, at);
        match end {
            Some(end) => {
                let end = end.min(bytes.len());
                let inside = out[at..end].iter_mut().filter(|byte| **byte != b'\n');
                inside.for_each(|byte| *byte = b' ');
                at = end;
            }
            None if is_word(bytes[at]) => {
                while at < bytes.len() && is_word(bytes[at]) {
                    at += 1;
                }
            }
            None => at += 1,
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The end of the comment or literal that starts here, if one does.
fn token_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    if rest.starts_with(b"//") {
        return Some(at + find(rest, b"\n").unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(at + find(rest, b"*/").map_or(rest.len(), |end| end + 2));
    }
    let prefix = rest.iter().take_while(|byte| b"bcr".contains(byte)).count();
    if prefix <= 2 && (prefix == 0 || at == 0 || !is_word(bytes[at - 1])) {
        let hashes = rest[prefix..].iter().take_while(|b| **b == b'#').count();
        let raw = rest[..prefix].contains(&b'r');
        if rest.get(prefix + hashes) == Some(&b'"') && (raw || hashes == 0) {
            let start = at + prefix + hashes + 1;
            return Some(start + string_length(&bytes[start..], raw, hashes));
        }
    }
    character_end(rest).map(|length| at + length)
}

/// Length of a string's inside with its closing quote.
fn string_length(inside: &[u8], raw: bool, hashes: usize) -> usize {
    if raw {
        let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
        return find(inside, &close).map_or(inside.len(), |end| end + close.len());
    }
    let mut at = 0;
    while at < inside.len() && inside[at] != b'"' {
        at += if inside[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Length of a character literal; `None` for a lifetime.
fn character_end(rest: &[u8]) -> Option<usize> {
    if rest.first() != Some(&b'\'') {
        return None;
    }
    if rest.get(1) == Some(&b'\\') {
        return rest[3..].iter().position(|b| *b == b'\'').map(|p| p + 4);
    }
    let text = std::str::from_utf8(&rest[1..rest.len().min(6)]).unwrap_or_else(|error| {
        std::str::from_utf8(&rest[1..1 + error.valid_up_to()]).unwrap_or_default()
    });
    let length = text.chars().next()?.len_utf8();
    (rest.get(1 + length) == Some(&b'\'')).then_some(length + 2)
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Whether a byte can be part of a name.
pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the bracket that opens at `open` closes.
pub fn close_of(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    code.len()
}

/// Blanked code without its `#[cfg(test)]` items.
pub fn without_tests(code: &str) -> String {
    let mut out = code.to_owned();
    while let Some(start) = out.find("#[cfg(test)]") {
        let end = match out[start..].find(['{', ';']) {
            Some(offset) if out.as_bytes()[start + offset] == b'{' => {
                close_of(&out, start + offset) + 1
            }
            Some(offset) => start + offset + 1,
            None => out.len(),
        };
        let kept: String = out[start..end.min(out.len())]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        out.replace_range(start..end.min(out.len()), &kept);
    }
    out
}

/// The number of the line at a byte, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Where a word stands by itself in blanked code.
pub fn words<'c>(code: &'c str, word: &'c str) -> impl Iterator<Item = usize> + 'c {
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            let bytes = code.as_bytes();
            let before = *at > 0 && is_word(bytes[at - 1]);
            let after = bytes
                .get(at + word.len())
                .is_some_and(|byte| is_word(*byte));
            !before && !after
        })
}

/// The name that begins at a byte.
pub fn name_at(code: &str, at: usize) -> &str {
    let rest = &code[at..];
    let length = rest.bytes().take_while(|byte| is_word(*byte)).count();
    &rest[..length]
}

/// Every function with a body: name, line, length in lines.
pub fn functions(code: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let name = name_at(code, at + 3);
        let Some(open) = body_of(code, at) else {
            continue;
        };
        let lines = code[at..close_of(code, open)].matches('\n').count() + 1;
        if !name.is_empty() {
            found.push((name.to_owned(), line_of(code, at), lines));
        }
    }
    found
}

/// Where a function's body opens, past its arguments; `None` for a declaration or a type.
fn body_of(code: &str, start: usize) -> Option<usize> {
    let mut at = start;
    while at < code.len() {
        match code.as_bytes()[at] {
            b'(' | b'[' => at = close_of(code, at),
            b'{' => return Some(at),
            b';' | b',' | b'}' | b')' => return None,
            _ => {}
        }
        at += 1;
    }
    None
}

/// The variants of an enumeration.
pub fn variants(code: &str, name: &str) -> Vec<String> {
    let start = code.find(&format!("enum {name} ")).expect("the enum");
    let open = start + code[start..].find('{').expect("its body");
    let end = close_of(code, open);
    let mut at = open + 1;
    let mut found = Vec::new();
    while at < end {
        match code.as_bytes()[at] {
            b'(' | b'{' | b'[' => at = close_of(code, at),
            byte if is_word(byte) => {
                let name = name_at(code, at);
                found.push(name.to_owned());
                at += name.len() - 1;
            }
            _ => {}
        }
        at += 1;
    }
    found
}
