//! A release from the future for the C test host: every field of every struct in a random place, or only
//! where no size and no function shows it.

use std::fmt::Write as _;

use crate::random::Random;

/// A field: what the rows of `tests/host/generation.c` list, and its declaration.
struct Field(&'static str);

/// A struct: its name, the name of its row, and its fields in the row's order. `-` is a field that
/// the layout does not have.
struct Struct {
    name: &'static str,
    row: &'static str,
    /// Its table in `tests/host/generation.c`, if a library registers it.
    registered: Option<&'static str>,
    fields: &'static [Field],
}

const CALLBACK: &str = "struct flb_config *, void *)";

/// Declarations as the real headers have them, where `@` stands for the name of the instance.
const STRUCTS: &[Struct] = &[
    Struct {
        name: "flb_input_plugin",
        row: "INPUT_PLUGIN_ROW",
        registered: Some("input_plugin_rows"),
        fields: &[
            Field("int flags"),
            Field("char *name"),
            Field("char *description"),
            Field("struct flb_config_map *config_map"),
            Field("int (*cb_init)(struct flb_input_instance *, $"),
            Field("int (*cb_pre_run)(struct flb_input_instance *, $"),
            Field("int (*cb_collect)(struct flb_input_instance *, $"),
            Field("void (*cb_pause)(void *, struct flb_config *)"),
            Field("void (*cb_resume)(void *, struct flb_config *)"),
            Field("int (*cb_pause_checked)(void *, struct flb_config *)"),
            Field("int (*cb_resume_checked)(void *, struct flb_config *)"),
            Field("int (*cb_exit)(void *, struct flb_config *)"),
            Field("void (*cb_destroy)(struct flb_input_plugin *)"),
            Field("struct mk_list _head"),
        ],
    },
    Struct {
        name: "flb_filter_plugin",
        row: "FILTER_PLUGIN_ROW",
        registered: Some("filter_plugin_rows"),
        fields: &[
            Field("char *name"),
            Field("char *description"),
            Field("struct flb_config_map *config_map"),
            Field("int (*cb_pre_run)(struct flb_filter_instance *, $"),
            Field("int (*cb_init)(struct flb_filter_instance *, $"),
            Field(
                "int (*cb_filter)(const void *, size_t, const char *, int, void **, size_t *, \
                 struct flb_filter_instance *, struct flb_input_instance *, void *, \
                 struct flb_config *)",
            ),
            Field("int (*cb_exit)(void *, struct flb_config *)"),
            Field("struct mk_list _head"),
        ],
    },
    Struct {
        name: "flb_output_plugin",
        row: "OUTPUT_PLUGIN_ROW",
        registered: Some("output_plugin_rows"),
        fields: &[
            Field("char *name"),
            Field("char *description"),
            Field("struct flb_config_map *config_map"),
            Field("int (*cb_init)(struct flb_output_instance *, $"),
            Field("int (*cb_pre_run)(void *, struct flb_config *)"),
            Field(
                "void (*cb_flush)(struct flb_event_chunk *, struct flb_output_flush *, \
                 struct flb_input_instance *, void *, struct flb_config *)",
            ),
            Field("int (*cb_exit)(void *, struct flb_config *)"),
            Field("void (*cb_destroy)(struct flb_output_plugin *)"),
            Field("int workers"),
            Field("struct mk_list _head"),
        ],
    },
    Struct {
        name: "flb_config_map",
        row: "CONFIG_MAP_ROW",
        registered: Some("config_map_rows"),
        fields: &[
            Field("int type"),
            Field("char *name"),
            Field("char *def_value"),
            Field("int flags"),
            Field("int set_property"),
            Field("char *desc"),
        ],
    },
    Struct {
        name: "flb_event_chunk",
        row: "EVENT_CHUNK_ROW",
        registered: Some("event_chunk_rows"),
        fields: &[
            Field("int type"),
            Field("char *tag"),
            Field("void *data"),
            Field("size_t size"),
            Field("size_t total_events"),
        ],
    },
    Struct {
        name: "flb_input_instance",
        row: "INPUT_ROW",
        registered: None,
        fields: &[
            Field("int id"),
            Field("int flags"),
            Field("int log_level"),
            Field("char name[32]"),
            Field("char *alias"),
            Field("void *context"),
            Field("struct flb_input_plugin *p"),
            Field("char *tag"),
            Field("int tag_len"),
            Field("size_t mem_chunks_size"),
            Field("size_t mem_buf_limit"),
            Field("int mem_buf_status"),
            Field("int storage_buf_status"),
            Field("struct mk_list _head"),
            Field("struct mk_list properties"),
            Field("struct mk_list collectors"),
            Field("struct mk_list chunks"),
            Field("struct mk_list tasks"),
            Field("int is_threaded"),
            Field("struct cmt *cmt"),
            Field("struct flb_config *config"),
        ],
    },
    Struct {
        name: "flb_filter_instance",
        row: "FILTER_ROW",
        registered: None,
        fields: INSTANCE_OF_FILTER,
    },
    Struct {
        name: "flb_output_instance",
        row: "OUTPUT_ROW",
        registered: None,
        fields: INSTANCE_OF_OUTPUT,
    },
    Struct {
        name: "flb_config",
        row: "CONFIG_ROW",
        registered: None,
        fields: &[
            Field("int is_running"),
            Field("int is_ingestion_active"),
            Field("int is_shutting_down"),
            Field("double flush"),
            Field("int grace"),
            Field("int exit_status_code"),
            Field("void *evl"),
            Field("void *sched"),
            Field("struct mk_list in_plugins"),
            Field("struct mk_list filter_plugins"),
            Field("struct mk_list out_plugins"),
            Field("struct mk_list inputs"),
            Field("struct mk_list filters"),
            Field("struct mk_list outputs"),
        ],
    },
];

const INSTANCE_OF_FILTER: &[Field] = &[
    Field("int id"),
    Field("int log_level"),
    Field("char name[32]"),
    Field("char *alias"),
    Field("void *context"),
    Field("struct flb_filter_plugin *p"),
    Field("char *match"),
    Field("struct mk_list _head"),
    Field("struct mk_list properties"),
    Field("struct cmt *cmt"),
    Field("struct flb_config *config"),
];
const INSTANCE_OF_OUTPUT: &[Field] = &[
    Field("int id"),
    Field("int log_level"),
    Field("char name[32]"),
    Field("char *alias"),
    Field("void *context"),
    Field("struct flb_output_plugin *p"),
    Field("char *match"),
    Field("struct mk_list _head"),
    Field("struct mk_list properties"),
    Field("struct cmt *cmt"),
    Field("struct flb_config *config"),
];

impl Field {
    fn declaration(&self) -> String {
        self.0.replace('$', CALLBACK)
    }

    fn bytes(&self) -> usize {
        match self.0 {
            text if text.contains("[32]") => 32,
            text if text.starts_with("struct mk_list ") => 16,
            text if text.contains('*') || !text.starts_with("int ") => 8,
            _ => 4,
        }
    }
}

/// What a release has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Everything.
    Everything,
    /// Only what the sizes of the registration structs do not show: it looks like the release before.
    Inside,
}

impl Changed {
    /// For the names of files.
    pub fn name(self) -> &'static str {
        match self {
            Changed::Everything => "random",
            Changed::Inside => "inside",
        }
    }
}

/// A header for `-DHOST_LAYOUT`: sizes and rows, and the structs themselves. `generations`: the text of
/// `tests/host/generation.c`.
pub fn header(seed: u64, changed: Changed, generations: &str) -> String {
    let mut random = Random::new(seed);
    let mut numbers = format!("/* Made from seed {seed}. */\n#ifndef HOST_LAYOUT_ROWS\n");
    numbers.push_str("#define HOST_LAYOUT_ROWS\n");
    let mut structs = String::from(
        "#ifdef HOST_LAYOUT_STRUCTS\n#include <stddef.h>\n\
         struct mk_list { struct mk_list *prev; struct mk_list *next; };\n\
         struct flb_output_flush;\nstruct cmt;\n",
    );
    for layout in STRUCTS {
        let _ = writeln!(structs, "struct {};", layout.name);
    }
    // Writing to a String does not fail, here and below.
    for layout in STRUCTS {
        let (row, members, bytes) = match layout.registered {
            Some(table) if changed == Changed::Inside => {
                as_before(layout, newest(generations, table))
            }
            _ => place(layout, &mut random),
        };
        let _ = writeln!(
            numbers,
            "#define {} {{HOST_VERSION, {bytes}, {row}}}",
            layout.row
        );
        let kind = layout.name.strip_suffix("_plugin").unwrap_or_default();
        if let Some(kind) = kind.strip_prefix("flb_") {
            let kind = kind.to_uppercase();
            let _ = writeln!(numbers, "#define HOST_{kind}_SIZE {bytes}");
        }
        let name = layout.name;
        let _ = write!(
            structs,
            "struct {name} {{\n{members}}};\n\
             _Static_assert(sizeof(struct {name}) == {bytes}, \"{name}\");\n\
             struct {name} *layout_of_{name};\n"
        );
    }
    format!("{numbers}#endif\n{structs}#endif\n")
}

/// The newest row of a table: size and offsets, -1 for what is not there.
fn newest(generations: &str, table: &str) -> Vec<i64> {
    let rows = generations.split(&format!("{table}[] = {{")).nth(1);
    let row = rows
        .and_then(|rows| rows.split("};").next())
        .and_then(|rows| {
            rows.lines()
                .rfind(|line| line.trim_start().starts_with('{'))
        })
        .expect("the table has rows");
    let numbers = row.trim().trim_start_matches('{').trim_end_matches("},");
    let numbers = numbers.split(',').map(|number| number.trim().parse());
    let numbers: Vec<i64> = numbers.collect::<Result<_, _>>().expect("numbers");
    // The first is the release.
    numbers[1..].to_vec()
}

/// As [`place`], in the places of a row.
fn as_before(layout: &Struct, row: Vec<i64>) -> (String, String, usize) {
    let (bytes, offsets) = row.split_first().expect("a row has a size");
    let bytes = usize::try_from(*bytes).expect("a size");
    let mut fields: Vec<_> = offsets
        .iter()
        .zip(layout.fields)
        .filter_map(|(offset, field)| Some((usize::try_from(*offset).ok()?, field)))
        .collect();
    fields.sort_by_key(|(offset, _)| *offset);
    let mut members = String::new();
    let mut at = 0;
    let gap = |at: usize, to: usize| format!("    char gap_{at}[{}];\n", to - at);
    for (offset, field) in fields {
        if offset > at {
            members.push_str(&gap(at, offset));
        }
        let _ = writeln!(members, "    {};", field.declaration());
        at = offset + field.bytes();
    }
    if bytes > at {
        members.push_str(&gap(at, bytes));
    }
    let row: Vec<String> = offsets.iter().map(i64::to_string).collect();
    (row.join(", "), members, bytes)
}

/// Offsets in the row's order, the members in the struct's order, and its size.
fn place(layout: &Struct, random: &mut Random) -> (String, String, usize) {
    let count = layout.fields.len();
    let mut order: Vec<usize> = (0..count).collect();
    for index in (1..count).rev() {
        order.swap(index, random.below(index as u64 + 1) as usize);
    }
    let mut offsets = vec![0; count];
    let mut members = String::new();
    let mut at: usize = 0;
    for index in order {
        let field = &layout.fields[index];
        let align = if field.0.contains("[32]") {
            1
        } else {
            field.bytes().min(8)
        };
        at = at.next_multiple_of(align);
        let gap = random.below(3) as usize * align;
        if gap > 0 {
            let _ = writeln!(members, "    char gap_{at}[{gap}];");
            at += gap;
        }
        offsets[index] = at;
        let _ = writeln!(members, "    {};", field.declaration());
        at += field.bytes();
    }
    let row: Vec<String> = offsets.iter().map(usize::to_string).collect();
    (row.join(", "), members, at.next_multiple_of(8))
}
