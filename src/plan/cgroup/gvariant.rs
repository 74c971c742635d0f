//! Values of systemd properties, and the part of GVariant's text form in which annotations give them.

/// A D-Bus value.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    Bool(bool),
    Byte(u8),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    F64(f64),
    Text(String),
    /// The elements' signature, and the elements.
    Array(String, Vec<Value>),
    Struct(Vec<Value>),
}

impl Value {
    /// Its D-Bus signature.
    pub fn signature(&self) -> String {
        match self {
            Value::Bool(_) => "b".into(),
            Value::Byte(_) => "y".into(),
            Value::I32(_) => "i".into(),
            Value::U32(_) => "u".into(),
            Value::I64(_) => "x".into(),
            Value::U64(_) => "t".into(),
            Value::F64(_) => "d".into(),
            Value::Text(_) => "s".into(),
            Value::Array(element, _) => format!("a{element}"),
            Value::Struct(fields) => {
                let fields: String = fields.iter().map(Value::signature).collect();
                format!("({fields})")
            }
        }
    }
}

/// Reads `true`, `5`, `uint64 5`, `1.5`, `'text'`, `['a', 'b']`, `@as []`, `('a', 1)`.
pub fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value(None, 0)?;
    match reader.rest.trim_start() {
        "" => Ok(value),
        rest => Err(format!("{rest:?} is left over")),
    }
}

/// Deeper values are nobody's.
const MAX_DEPTH: usize = 8;

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn value(&mut self, signature: Option<&str>, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err("nested too deeply".into());
        }
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix('@') {
            let (signature, rest) = rest.split_once(' ').ok_or("a value is missing")?;
            let signature = signature.to_owned();
            self.rest = rest;
            return self.value(Some(&signature), depth + 1);
        }
        match self.rest.chars().next() {
            None => Err("a value is missing".into()),
            Some('\'' | '"') => self.text().map(Value::Text),
            Some('[') => self.array(signature, depth),
            Some('(') => self.sequence(')', None, depth).map(Value::Struct),
            Some(_) => self.word(signature, depth),
        }
    }

    fn text(&mut self) -> Result<String, String> {
        let mut letters = self.rest.chars();
        let quote = letters.next().unwrap_or('\'');
        let mut text = String::new();
        loop {
            match letters.next() {
                None => return Err("a quote is missing".into()),
                Some(letter) if letter == quote => break,
                Some('\\') => match letters.next().ok_or("a quote is missing")? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    letter => text.push(letter),
                },
                Some(letter) => text.push(letter),
            }
        }
        self.rest = letters.as_str();
        Ok(text)
    }

    fn array(&mut self, signature: Option<&str>, depth: usize) -> Result<Value, String> {
        let element = signature
            .and_then(|s| s.strip_prefix('a'))
            .map(str::to_owned);
        let elements = self.sequence(']', element.as_deref(), depth)?;
        let element = match (element, elements.first()) {
            (Some(element), _) => element,
            (None, Some(first)) => first.signature(),
            (None, None) => return Err("an empty array needs a type, as in @as []".into()),
        };
        match elements.iter().all(|e| e.signature() == element) {
            true => Ok(Value::Array(element, elements)),
            false => Err("an array's elements are all of one type".into()),
        }
    }

    fn sequence(
        &mut self,
        end: char,
        element: Option<&str>,
        depth: usize,
    ) -> Result<Vec<Value>, String> {
        self.rest = &self.rest[1..];
        let mut values = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix(end) {
                self.rest = rest;
                return Ok(values);
            }
            values.push(self.value(element, depth + 1)?);
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None if self.rest.starts_with(end) => {}
                None => return Err(format!("{end:?} is missing")),
            }
        }
    }

    /// A number, a truth value, or a type's name before a value.
    fn word(&mut self, signature: Option<&str>, depth: usize) -> Result<Value, String> {
        let end = self
            .rest
            .find([' ', ',', ']', ')'])
            .unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        self.rest = &self.rest[end..];
        let named = match word {
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            "boolean" => "b",
            "byte" => "y",
            "int32" => "i",
            "uint32" => "u",
            "int64" => "x",
            "uint64" => "t",
            "double" => "d",
            "string" => "s",
            number => return parse_number(number, signature.unwrap_or("")),
        };
        let value = self.value(Some(named), depth + 1)?;
        match value.signature() == named {
            true => Ok(value),
            false => Err(format!("the value after {word} is none")),
        }
    }
}

fn parse_number(text: &str, signature: &str) -> Result<Value, String> {
    let bad = |_| format!("{text:?} is no value of type {signature:?}");
    match signature {
        "y" => text
            .parse()
            .map(Value::Byte)
            .map_err(|e: std::num::ParseIntError| bad(e.to_string())),
        "u" => text.parse().map(Value::U32).map_err(|e| bad(e.to_string())),
        "x" => text.parse().map(Value::I64).map_err(|e| bad(e.to_string())),
        "t" => text.parse().map(Value::U64).map_err(|e| bad(e.to_string())),
        "d" => text.parse().map(Value::F64).map_err(|e| bad(e.to_string())),
        _ => match (text.parse::<i32>(), text.parse::<f64>()) {
            (Ok(number), _) => Ok(Value::I32(number)),
            (Err(_), Ok(number)) if text.contains(['.', 'e', 'E']) => Ok(Value::F64(number)),
            _ => Err(format!("{text:?} is no value; texts are quoted")),
        },
    }
}
