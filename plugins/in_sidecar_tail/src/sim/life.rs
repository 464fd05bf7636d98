//! The life of a file as a table, and what holds for every one of them, whatever is seen in whatever order.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::track::file::FileId;
use crate::track::life::Life;
use crate::track::transition::{step, Effect, Facts, Look, Observation};

const ROTATE_WAIT: Duration = Duration::from_secs(5);

fn path(name: &str) -> Arc<Path> {
    Path::new(name).into()
}

/// A life, and the clock that its observations go by.
struct Lived {
    life: Life,
    now: Instant,
    owed: bool,
}

impl Lived {
    fn new() -> Self {
        let now = Instant::now();
        Lived {
            life: Life::begin(path("/a.log"), true, now),
            now,
            owed: false,
        }
    }

    fn see(&mut self, seen: Observation) -> Vec<Effect> {
        let facts = Facts {
            now: self.now,
            rotate_wait: ROTATE_WAIT,
            owed: self.owed,
        };
        let mut effects = Vec::new();
        step(&mut self.life, seen, &facts, &mut effects);
        effects
    }

    /// What a row of the table says.
    fn is(&self) -> String {
        let life = &self.life;
        let phase = match (life.is_let_go(), life.quarantine()) {
            (true, _) => "let go",
            (_, Some(_)) => "quarantined",
            (_, None) if life.waits_for_turn() => "waiting",
            _ => "idle",
        };
        let place = match life.path() {
            Some(_) if life.matched() => "matched",
            Some(_) => "unmatched",
            None => "nameless",
        };
        format!("{phase} {place}")
    }
}

fn looked(unread: bool) -> Observation {
    Observation::Looked(Look {
        round: true,
        unread,
        ..Look::default()
    })
}

fn renamed(matched: bool) -> Observation {
    Observation::Renamed {
        path: path("/a.log.1"),
        matched,
    }
}

fn renamed_back() -> Observation {
    Observation::RenamedBack {
        path: path("/a.log"),
        matched: true,
    }
}

fn left(open: bool) -> Observation {
    Observation::Left {
        last: path("/a.log"),
        deleted: false,
        open,
    }
}

const TO_THE_END: Observation = Observation::ReadToEnd { unfinished: false };
const QUARANTINED: Observation = Observation::Resembles {
    original: FileId(7),
};

/// How a file comes into a phase, what is seen then, after how many seconds, where it is then and what is
/// to be done.
#[test]
fn what_is_seen_in_every_phase() {
    use Effect::{Checkpoint, Close, CountLost, EndText, Forget, Look as LookAtIt};
    let crowded = |unread| Observation::Crowded { unread };
    let cut = Observation::ReadToEnd { unfinished: true };
    let compared = |alike| Observation::Compared {
        alike,
        longest: Duration::from_secs(10),
    };
    let end = [EndText, Close, Forget];
    type Row = (
        Vec<Observation>,
        u64,
        Observation,
        &'static str,
        Vec<Effect>,
    );
    let rows: Vec<Row> = vec![
        // A file at its path.
        (vec![], 0, looked(true), "waiting matched", vec![]),
        (vec![], 99, looked(false), "idle matched", vec![]),
        (vec![looked(true)], 0, TO_THE_END, "idle matched", vec![]),
        (
            vec![],
            0,
            renamed(true),
            "idle matched",
            vec![Checkpoint, LookAtIt],
        ),
        (
            vec![],
            0,
            renamed(false),
            "idle unmatched",
            vec![Checkpoint, LookAtIt],
        ),
        (vec![], 0, left(true), "idle nameless", vec![LookAtIt]),
        (vec![], 0, left(false), "idle nameless", vec![]),
        (
            vec![],
            0,
            Observation::Compressed,
            "idle matched",
            vec![Close, Forget],
        ),
        (vec![], 0, Observation::Drained, "waiting matched", vec![]),
        (vec![], 9, crowded(false), "idle matched", vec![]),
        (
            vec![],
            0,
            Observation::BeganAnew,
            "idle matched",
            vec![Checkpoint, LookAtIt],
        ),
        // Renamed: its last line is complete when nothing has come for as long as rotate_wait is.
        (
            vec![renamed(true)],
            4,
            looked(false),
            "idle matched",
            vec![],
        ),
        (
            vec![renamed(true)],
            5,
            looked(false),
            "idle matched",
            vec![EndText],
        ),
        (
            vec![renamed(true), looked(true)],
            9,
            looked(false),
            "waiting matched",
            vec![],
        ),
        (
            vec![renamed(true), looked(true), cut.clone()],
            5,
            looked(false),
            "idle matched",
            vec![EndText],
        ),
        // It has its first name again: its last line may go on.
        (
            vec![renamed(true), renamed_back()],
            9,
            looked(false),
            "idle matched",
            vec![],
        ),
        // Where no pattern looks: it is let go then.
        (
            vec![renamed(false)],
            4,
            looked(false),
            "idle unmatched",
            vec![],
        ),
        (
            vec![renamed(false)],
            5,
            looked(false),
            "let go unmatched",
            end.to_vec(),
        ),
        (
            vec![renamed(false)],
            5,
            looked(true),
            "waiting unmatched",
            vec![],
        ),
        (vec![left(true)], 4, looked(false), "idle nameless", vec![]),
        (
            vec![left(true)],
            5,
            looked(false),
            "let go nameless",
            end.to_vec(),
        ),
        (
            vec![left(true)],
            5,
            looked(true),
            "waiting nameless",
            vec![],
        ),
        (
            vec![left(true)],
            0,
            crowded(false),
            "let go nameless",
            end.to_vec(),
        ),
        (vec![left(true)], 0, crowded(true), "idle nameless", vec![]),
        (
            vec![left(true), looked(true)],
            0,
            crowded(false),
            "waiting nameless",
            vec![],
        ),
        // Looked for.
        (
            vec![left(false)],
            0,
            renamed(true),
            "idle matched",
            vec![Checkpoint, LookAtIt],
        ),
        (
            vec![left(false)],
            0,
            Observation::NotFound,
            "let go nameless",
            vec![CountLost, EndText, Close, Forget],
        ),
        // It may be a copy.
        (vec![], 0, QUARANTINED, "quarantined matched", vec![]),
        (
            vec![looked(true)],
            0,
            QUARANTINED,
            "waiting matched",
            vec![],
        ),
        (
            vec![QUARANTINED],
            99,
            looked(true),
            "quarantined matched",
            vec![],
        ),
        (
            vec![QUARANTINED],
            9,
            compared(true),
            "quarantined matched",
            vec![],
        ),
        (
            vec![QUARANTINED],
            10,
            compared(true),
            "waiting matched",
            vec![LookAtIt],
        ),
        (
            vec![QUARANTINED],
            0,
            compared(false),
            "waiting matched",
            vec![LookAtIt],
        ),
        (
            vec![QUARANTINED],
            0,
            Observation::Released,
            "waiting matched",
            vec![LookAtIt],
        ),
        (
            vec![QUARANTINED],
            0,
            Observation::Continued,
            "idle matched",
            vec![Checkpoint, LookAtIt],
        ),
        (
            vec![QUARANTINED],
            0,
            Observation::Skipped,
            "idle matched",
            vec![Checkpoint],
        ),
        (
            vec![QUARANTINED],
            0,
            left(true),
            "quarantined nameless",
            vec![LookAtIt],
        ),
    ];
    for (before, seconds, seen, is, effects) in rows {
        let mut lived = Lived::new();
        let text = format!("{before:?}, {seconds} s later {seen:?}");
        for seen in before {
            lived.see(seen);
        }
        lived.now += Duration::from_secs(seconds);
        assert_eq!(lived.see(seen), effects, "{text}");
        assert_eq!(lived.is(), is, "{text}");
    }
}

#[test]
fn a_file_that_the_host_still_owes_us_is_kept_until_it_does_not() {
    let mut lived = Lived::new();
    lived.owed = true;
    lived.see(left(true));
    lived.now += ROTATE_WAIT;
    assert_eq!(lived.see(looked(false)), [Effect::EndText, Effect::Close]);
    assert!(lived.see(looked(true)).is_empty() && lived.see(Observation::Acked).is_empty());
    let mut back = Lived {
        life: lived.life.clone(),
        ..lived
    };
    back.see(Observation::ComesBack);
    back.see(renamed(true));
    assert_eq!(back.is(), "idle matched");
    lived.owed = false;
    assert_eq!(lived.see(Observation::Acked), [Effect::Forget]);
}

fn observations() -> impl Strategy<Value = Observation> {
    let names = prop_oneof![Just(path("/a.log")), Just(path("/a.log.1"))];
    let look = proptest::array::uniform4(any::<bool>());
    prop_oneof![
        6 => look.prop_map(|[round, unread, too_old, unpacking]| Observation::Looked(Look {
            round,
            unread,
            too_old,
            unpacking,
        })),
        3 => any::<bool>().prop_map(|unfinished| Observation::ReadToEnd { unfinished }),
        1 => Just(Observation::Drained),
        2 => (names.clone(), any::<bool>())
            .prop_map(|(path, matched)| Observation::Renamed { path, matched }),
        1 => Just(Observation::Rotated),
        1 => Just(renamed_back()),
        2 => (names, any::<bool>(), any::<bool>())
            .prop_map(|(last, deleted, open)| Observation::Left { last, deleted, open }),
        1 => Just(Observation::NotFound),
        1 => Just(QUARANTINED),
        1 => (any::<bool>(), 0..20u64).prop_map(|(alike, longest)| Observation::Compared {
            alike,
            longest: Duration::from_secs(longest),
        }),
        1 => Just(Observation::Released),
        1 => Just(Observation::Continued),
        1 => Just(Observation::Skipped),
        1 => any::<bool>().prop_map(|unread| Observation::Crowded { unread }),
        1 => Just(Observation::BeganAnew),
        1 => Just(Observation::Acked),
        1 => Just(Observation::ComesBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is seen in whatever order: no file with unread bytes is let go, unless it cannot be found;
    /// none is forgotten that the host owes us; text ends before a file is closed and dropped; and time
    /// goes on.
    #[test]
    fn nothing_unread_is_ever_let_go(
        steps in proptest::collection::vec((observations(), 0..8u64, any::<bool>()), 1..60),
    ) {
        let mut lived = Lived::new();
        let mut unread = false;
        for (seen, seconds, owed) in steps {
            lived.now += Duration::from_secs(seconds);
            lived.owed = owed;
            let (before, since) = (lived.is(), lived.life.since());
            // Nobody reads what does not wait for its turn.
            if matches!(seen, Observation::ReadToEnd { .. }) && !lived.life.waits_for_turn() {
                continue;
            }
            let lets_go = lived.life.is_let_go();
            match &seen {
                Observation::Looked(look) => unread = look.unread,
                Observation::Crowded { unread: more } => unread = *more,
                Observation::ReadToEnd { .. } | Observation::Skipped => unread = false,
                Observation::Released | Observation::Continued | Observation::BeganAnew => {
                    unread = true;
                }
                _ => {}
            }
            let gives_up = matches!(seen, Observation::NotFound);
            let text = format!("{before}: {seen:?} -> {}", lived.is());
            let effects = lived.see(seen.clone());
            let (quarantined, over) = (lived.life.quarantine().is_some(), lived.life.is_let_go());
            if !lets_go && over {
                prop_assert!(gives_up || !unread, "{}", text);
                prop_assert!(gives_up || !before.starts_with("quarantined"), "{}", text);
                prop_assert!(gives_up || !before.starts_with("waiting"), "{}", text);
                let ends = effects.iter().position(|e| *e == Effect::EndText);
                let closes = effects.iter().position(|e| *e == Effect::Close);
                prop_assert!(ends.is_some() && ends < closes, "{}: {:?}", text, effects);
            }
            if effects.contains(&Effect::EndText) && !gives_up {
                prop_assert!(!unread && !quarantined, "{}", text);
            }
            if let Some(at) = effects.iter().position(|e| *e == Effect::Forget) {
                prop_assert!(over && !owed && at + 1 == effects.len(), "{}: {:?}", text, effects);
                return Ok(());
            }
            // What there is to read waits for its turn, and is looked at if nobody may tell of it.
            if let (Observation::Looked(look), false) = (&seen, over || quarantined) {
                prop_assert_eq!(lived.life.waits_for_turn(), look.unread || before.starts_with("waiting"));
            }
            if let Some((then, now)) = since.zip(lived.life.since()) {
                prop_assert!(then <= now && now <= lived.now, "{}", text);
            }
            if !over && lived.life.path().is_none() {
                prop_assert!(lived.life.is_restless(), "{}", text);
            }
        }
        // Whatever it has been through: at its end, and where no pattern looks, it does not stay for ever.
        if lived.life.is_let_go() {
            return Ok(());
        }
        lived.owed = false;
        lived.see(Observation::Released);
        lived.see(left(true));
        if lived.life.waits_for_turn() {
            lived.see(TO_THE_END);
        }
        lived.now += ROTATE_WAIT;
        let effects = lived.see(looked(false));
        prop_assert_eq!(effects.last(), Some(&Effect::Forget));
    }
}
