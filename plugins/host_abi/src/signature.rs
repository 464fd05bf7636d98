//! Number and kind of a function's arguments, as far as the calling convention and our trust in a
//! function depend on them.

use std::fmt;
use std::str::FromStr;

/// A result or an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Void,
    /// A pointer; to a struct of this name, if it is one.
    Pointer(Option<String>),
    /// An integer or enumeration of this many bytes.
    Integer(u64),
    /// A floating-point number of this many bytes.
    Float(u64),
    /// Something else, such as a struct by value.
    Other,
}

impl Value {
    /// Whether the host's `self` may be used as `wanted`.
    fn fits(&self, wanted: &Value) -> bool {
        match (self, wanted) {
            (Value::Pointer(Some(found)), Value::Pointer(Some(name))) => found == name,
            (Value::Pointer(_), Value::Pointer(_)) => true,
            (Value::Other, _) | (_, Value::Other) => false,
            _ => self == wanted,
        }
    }
}

/// A function's result and arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What it returns.
    pub result: Value,
    /// What it takes.
    pub arguments: Vec<Value>,
    /// More arguments may follow.
    pub variadic: bool,
}

impl Signature {
    /// Whether a function of the host with this signature may be called as `wanted`, or the other
    /// way round. A pointer whose struct either side does not name fits any pointer.
    pub fn fits(&self, wanted: &Signature) -> bool {
        self.variadic == wanted.variadic
            && self.result.fits(&wanted.result)
            && self.arguments.len() == wanted.arguments.len()
            && self
                .arguments
                .iter()
                .zip(&wanted.arguments)
                .all(|(found, wanted)| found.fits(wanted))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Void => f.write_str("void"),
            Value::Pointer(None) => f.write_str("*"),
            Value::Pointer(Some(name)) => write!(f, "{name}*"),
            Value::Integer(bytes) => write!(f, "int{bytes}"),
            Value::Float(bytes) => write!(f, "float{bytes}"),
            Value::Other => f.write_str("other"),
        }
    }
}

impl FromStr for Value {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| digits.parse().ok().filter(|bytes| *bytes <= 16);
        if let Some(name) = text.strip_suffix('*') {
            return Ok(Value::Pointer((!name.is_empty()).then(|| name.to_owned())));
        }
        match text {
            "void" => Some(Value::Void),
            "other" => Some(Value::Other),
            _ => text
                .strip_prefix("int")
                .and_then(number)
                .map(Value::Integer)
                .or_else(|| {
                    text.strip_prefix("float")
                        .and_then(number)
                        .map(Value::Float)
                }),
        }
        .ok_or_else(|| {
            format!("'{text}' is no kind of value (void, *, NAME*, int4, float8, other)")
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.result)?;
        for (index, argument) in self.arguments.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{argument}")?;
        }
        f.write_str(match (self.variadic, self.arguments.is_empty()) {
            (false, _) => ")",
            (true, false) => ",...)",
            (true, true) => "...)",
        })
    }
}

impl FromStr for Signature {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (result, rest) = text
            .split_once('(')
            .ok_or_else(|| format!("'{text}' is no signature: no '('"))?;
        let rest = rest
            .strip_suffix(')')
            .ok_or_else(|| format!("'{text}' is no signature: no ')'"))?;
        let mut arguments = Vec::new();
        let mut variadic = false;
        for argument in rest.split(',').filter(|argument| !argument.is_empty()) {
            if variadic {
                return Err(format!("'{text}' is no signature: '...' is not the last"));
            }
            match argument {
                "..." => variadic = true,
                other => arguments.push(other.parse()?),
            }
        }
        Ok(Signature {
            result: result.parse()?,
            arguments,
            variadic,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(text: &str) -> Signature {
        text.parse().unwrap()
    }

    #[test]
    fn text_is_read_back() {
        for text in [
            "void()",
            "int4(flb_input_instance*,flb_config*,*)",
            "void(int4,*,int4,*,...)",
            "float8(int8,other)",
            "*(...)",
        ] {
            assert_eq!(signature(text).to_string(), text);
        }
        for broken in ["", "int4", "int4(", "int4(word)", "int4(...,*)", "int99()"] {
            assert!(broken.parse::<Signature>().is_err(), "{broken}");
        }
    }

    #[test]
    fn number_and_kind_of_arguments_must_agree() {
        let wanted = signature("int4(flb_input_instance*,flb_config*,*)");
        assert!(signature("int4(flb_input_instance*,flb_config*,*)").fits(&wanted));
        assert!(signature("int4(*,*,flb_test*)").fits(&wanted));
        for other in [
            "int4(flb_input_instance*,flb_config*)",
            "int4(flb_config*,flb_input_instance*,*)",
            "int4(flb_input_instance*,flb_config*,int8)",
            "void(flb_input_instance*,flb_config*,*)",
            "int8(flb_input_instance*,flb_config*,*)",
            "int4(flb_input_instance*,flb_config*,*,*)",
            "int4(flb_input_instance*,flb_config*,*,...)",
            "int4(flb_input_instance*,flb_config*,other)",
        ] {
            assert!(!signature(other).fits(&wanted), "{other}");
        }
    }
}
