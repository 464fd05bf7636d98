//! The signature of a Rust function type, to be compared with that of the host's function.

use std::ffi::{c_int, c_void};

use host_abi::{Signature, Value};

use super::bindings::{
    host_config, host_event_chunk, host_filter, host_flush, host_input, host_output,
};

/// A function type.
pub(crate) trait Signed {
    /// Its result and arguments.
    fn signature() -> Signature;
}

/// A type of a result or an argument.
pub(crate) trait Passed {
    /// Its kind.
    fn value() -> Value;
}

/// A type that pointers lead to.
pub(crate) trait Pointee {
    /// The host's name of the struct, if it is one of those that must not be mixed up.
    const NAME: Option<&'static str> = None;
}

macro_rules! pointees {
    ($($type:ty $(=> $name:literal)?;)*) => {
        $( impl Pointee for $type { $( const NAME: Option<&'static str> = Some($name); )? } )*
    };
}

pointees! {
    c_void;
    i8;
    u8;
    c_int;
    u64;
    usize;
    libc::timespec;
    host_flush;
    host_config => "flb_config";
    host_input => "flb_input_instance";
    host_filter => "flb_filter_instance";
    host_output => "flb_output_instance";
    host_event_chunk => "flb_event_chunk";
}

impl<T> Pointee for *mut T {}
impl<T> Pointee for *const T {}

impl<T: Pointee> Passed for *mut T {
    fn value() -> Value {
        Value::Pointer(T::NAME.map(str::to_owned))
    }
}

impl<T: Pointee> Passed for *const T {
    fn value() -> Value {
        Value::Pointer(T::NAME.map(str::to_owned))
    }
}

macro_rules! passed {
    ($($type:ty: $value:expr;)*) => {
        $( impl Passed for $type { fn value() -> Value { $value } } )*
    };
}

passed! {
    (): Value::Void;
    c_int: Value::Integer(4);
    i64: Value::Integer(8);
    u64: Value::Integer(8);
    usize: Value::Integer(8);
    isize: Value::Integer(8);
    f64: Value::Float(8);
}

macro_rules! functions {
    ($( ($($argument:ident)*) )*) => { $(
        impl<R: Passed, $($argument: Passed),*> Signed for unsafe extern "C" fn($($argument),*) -> R {
            fn signature() -> Signature {
                Signature {
                    result: R::value(),
                    arguments: vec![$($argument::value()),*],
                    variadic: false,
                }
            }
        }

        impl<R, $($argument),*> Passed for unsafe extern "C" fn($($argument),*) -> R {
            fn value() -> Value {
                Value::Pointer(None)
            }
        }
    )* };
}

functions! {
    ()
    (A)
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E F)
    (A B C D E F G)
    (A B C D E F G H)
    (A B C D E F G H I)
    (A B C D E F G H I J)
}

impl<A, B, C, D, R> Passed for unsafe extern "C" fn(A, B, C, D, ...) -> R {
    fn value() -> Value {
        Value::Pointer(None)
    }
}

impl<A: Passed, B: Passed, C: Passed, D: Passed, R: Passed> Signed
    for unsafe extern "C" fn(A, B, C, D, ...) -> R
{
    fn signature() -> Signature {
        Signature {
            result: R::value(),
            arguments: vec![A::value(), B::value(), C::value(), D::value()],
            variadic: true,
        }
    }
}

impl<T: Passed> Passed for Option<T> {
    fn value() -> Value {
        T::value()
    }
}

impl<T: Signed> Signed for Option<T> {
    fn signature() -> Signature {
        T::signature()
    }
}

#[cfg(test)]
mod tests {
    use host_abi::layout;

    use super::super::bindings::{
        host_exit_cb, host_filter_cb, host_filter_cb10, host_filter_cb9, host_flush_cb,
        host_input_cb, host_output_cb, host_state_cb,
    };
    use super::*;

    /// What a host's own debug information is compared with, and what our callbacks are.
    #[test]
    fn callbacks_are_what_the_list_of_fields_says() {
        let pairs = [
            (host_input_cb::signature(), layout::INPUT_CALLBACK),
            (host_filter_cb::signature(), layout::FILTER_CALLBACK),
            (host_output_cb::signature(), layout::OUTPUT_CALLBACK),
            (host_state_cb::signature(), layout::STATE_CALLBACK),
            (host_exit_cb::signature(), layout::EXIT_CALLBACK),
            (host_filter_cb10::signature(), layout::FILTER_TEN),
            (host_filter_cb9::signature(), layout::FILTER_NINE),
            (host_flush_cb::signature(), layout::FLUSH_CALLBACK),
        ];
        for (ours, listed) in pairs {
            assert_eq!(ours.to_string(), listed);
        }
    }

    #[test]
    fn every_kind_of_argument_is_told_apart() {
        type Log = unsafe extern "C" fn(c_int, *const i8, c_int, *const i8, ...);
        assert_eq!(Log::signature().to_string(), "void(int4,*,int4,*,...)");
        type Mixed = unsafe extern "C" fn(f64, usize, Log, *mut host_config) -> u64;
        assert_eq!(
            Mixed::signature().to_string(),
            "int8(float8,int8,*,flb_config*)"
        );
    }
}
