//! Where the fields of a registration struct are, from a type of `include/`.

macro_rules! input_plugin {
    ($type:ident) => {
        InputPlugin {
            bytes: size_of::<abi::$type>(),
            name: offset_of!(abi::$type, name),
            description: offset_of!(abi::$type, description),
            config_map: offset_of!(abi::$type, config_map),
            cb_init: offset_of!(abi::$type, cb_init),
            cb_collect: offset_of!(abi::$type, cb_collect),
            cb_pause: offset_of!(abi::$type, cb_pause),
            cb_resume: offset_of!(abi::$type, cb_resume),
            cb_exit: offset_of!(abi::$type, cb_exit),
        }
    };
}

macro_rules! filter_plugin {
    ($type:ident) => {
        FilterPlugin {
            bytes: size_of::<abi::$type>(),
            name: offset_of!(abi::$type, name),
            description: offset_of!(abi::$type, description),
            config_map: offset_of!(abi::$type, config_map),
            cb_init: offset_of!(abi::$type, cb_init),
            cb_filter: offset_of!(abi::$type, cb_filter),
            cb_exit: offset_of!(abi::$type, cb_exit),
        }
    };
}

macro_rules! output_plugin {
    ($type:ident) => {
        OutputPlugin {
            bytes: size_of::<abi::$type>(),
            name: offset_of!(abi::$type, name),
            description: offset_of!(abi::$type, description),
            config_map: offset_of!(abi::$type, config_map),
            cb_init: offset_of!(abi::$type, cb_init),
            cb_flush: offset_of!(abi::$type, cb_flush),
            cb_exit: offset_of!(abi::$type, cb_exit),
        }
    };
}

macro_rules! option_entry {
    ($type:ident) => {
        OptionEntry {
            bytes: size_of::<abi::$type>(),
            kind: offset_of!(abi::$type, type_),
            name: offset_of!(abi::$type, name),
            default_value: offset_of!(abi::$type, default_value),
            flags: offset_of!(abi::$type, flags),
            description: offset_of!(abi::$type, description),
        }
    };
}
