//! What is made of each line of the list: its field in `Layout`, its entry in `WANTED`, its place in
//! everything that goes over all of them.

macro_rules! wanted {
    (@type needed) => { usize };
    (@type optional) => { Option<usize> };
    (@type places) => { Places };
    (@need needed) => { Need::Needed };
    (@need optional) => { Need::Optional };
    (@need places) => { Need::Optional };
    (@from needed $found:expr, $unproven:ident) => { $found? };
    (@from optional $found:expr, $unproven:ident) => {
        $found.map_err(|why| $unproven.push(why)).ok()
    };
    (@from places $found:expr, $unproven:ident) => {
        $found.map_err(|why| $unproven.push(why)).map_or(Places::NONE, |at| Places::at(&[at]))
    };
    (@show needed $value:expr) => { format!("{}", $value) };
    (@show optional $value:expr) => {
        $value.map_or_else(|| "None".to_owned(), |at| format!("Some({at})"))
    };
    (@show places $value:expr) => { format!("Places::at(&{:?})", $value.iter().collect::<Vec<_>>()) };
    (@differ needed $mine:expr, $other:expr) => { $mine != $other };
    // What a row does not say is not used.
    (@differ optional $mine:expr, $other:expr) => { $mine.is_some() && $mine != $other };
    (@grown needed $value:expr, $from:ident, $bytes:ident) => { behind($value, $from, $bytes) };
    (@grown optional $value:expr, $from:ident, $bytes:ident) => {
        match $value {
            Some(at) => Some(behind(at, $from, $bytes)),
            None => None,
        }
    };
    (@grown places $value:expr, $from:ident, $bytes:ident) => { $value.grown($from, $bytes) };
    // One of the places is enough.
    (@differ places $mine:expr, $other:expr) => {
        !$other.iter().all(|at| $mine.iter().any(|mine| mine == at))
    };
    ($(
        $(#[$doc:meta])*
        $group:ident: $type:ident = $struct:literal by $anchor:literal {
            $( $(#[$field_doc:meta])* $field:ident: $need:ident $($path:literal)|+ = $holds:expr; )*
        }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub struct $type {
                /// Its size; 0 where it is not known.
                pub bytes: usize,
                $( $(#[$field_doc])* pub $field: wanted!(@type $need), )*
            }

            impl $type {
                /// The same in a release that has so many bytes more at `from`: every field there or
                /// behind is moved.
                #[must_use]
                pub const fn grown(self, from: usize, bytes: isize) -> Self {
                    $type {
                        bytes: self.bytes,
                        $( $field: wanted!(@grown $need self.$field, from, bytes), )*
                    }
                }
            }
        )*

        /// Where everything is in one host.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Layout {
            $( $(#[$doc])* pub $group: $type, )*
        }

        /// The list, for what goes over all of it.
        pub static WANTED: &[WantedStruct] = &[ $( WantedStruct {
            name: $struct,
            anchor: $anchor,
            group: stringify!($group),
            row_type: stringify!($type),
            fields: &[ $( WantedField {
                name: stringify!($field),
                paths: &[ $($path),+ ],
                holds: $holds,
                need: wanted!(@need $need),
            }, )* ],
        }, )* ];

        impl Layout {
            /// The layout that `facts` show, and why each of the optional fields that are missing is.
            ///
            /// # Errors
            /// Why a needed field cannot be used.
            pub fn from_facts(facts: &Facts) -> Result<(Self, Vec<String>), String> {
                let mut unproven = Vec::new();
                let mut wanted = WANTED.iter();
                let layout = Layout {
                    $( $group: {
                        let layout = wanted.next().ok_or("the list ends early")?;
                        let mut fields = layout.fields.iter();
                        let known = facts.structs.get(layout.name);
                        $type {
                            bytes: known.map_or(0, |found| found.bytes as usize),
                            $( $field: {
                                let field = fields.next().ok_or("the list ends early")?;
                                wanted!(@from $need layout.find(facts, field), unproven)
                            }, )*
                        }
                    }, )*
                };
                unproven.dedup();
                Ok((layout, unproven))
            }

            /// What a row of the table says otherwise than `found`: one text a field.
            pub fn differences(&self, found: &Layout) -> Vec<String> {
                let mut all = Vec::new();
                $( $(
                    let (mine, other) = (self.$group.$field, found.$group.$field);
                    // A struct that the host does not have at all is not looked at there.
                    if found.$group.bytes > 0 && wanted!(@differ $need mine, other) {
                        all.push(format!(
                            "{}.{}: {} instead of {}",
                            $struct,
                            stringify!($field),
                            wanted!(@show $need mine),
                            wanted!(@show $need other),
                        ));
                    }
                )* )*
                all
            }

            /// What a row would say of a host that `found` was read from, where this is the row before
            /// it: what still holds stays as it is.
            #[must_use]
            pub fn updated(&self, found: &Layout) -> Layout {
                let mut wanted = WANTED.iter();
                Layout {
                    $( $group: {
                        let there = found.$group.bytes > 0;
                        // Only what we fill in has to be known whole.
                        let whole = wanted.next().is_some_and(|group| group.need() == Need::Needed);
                        $type {
                            bytes: if there && whole { found.$group.bytes } else { self.$group.bytes },
                            $( $field: {
                                let (mine, other) = (self.$group.$field, found.$group.$field);
                                if there && wanted!(@differ $need mine, other) { other } else { mine }
                            }, )*
                        }
                    }, )*
                }
            }

            /// Every value as it stands in a row of the table: group, field, text.
            pub fn values(&self) -> Vec<(&'static str, &'static str, String)> {
                vec![ $(
                    (stringify!($group), "bytes", self.$group.bytes.to_string()),
                    $( (
                        stringify!($group),
                        stringify!($field),
                        wanted!(@show $need self.$group.$field),
                    ), )*
                )* ]
            }
        }
    };
}
