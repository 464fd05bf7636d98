//! How `completion_exit` reaches every `sidecar_tail`, whichever copy of the library it is from.
//!
//! The four files may be copies instead of links; each copy then has its own statics. But all
//! copies see the same host, and the host keeps one context pointer per instance. So the context
//! of our inputs starts with this block: a magic number, a version, and C functions of the copy
//! that owns the input.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use flb_sidecar_sdk::drain::{Drain, DrainState, DrainStatus};
use flb_sidecar_sdk::Routed;

use crate::abi::memory::Memory;
use crate::chunk_watch::ChunkWatch;
use crate::chunks::Account;
use crate::holdings::Holder;

/// "flb-side" and a terminator that no text has.
const MAGIC: [u8; 16] = *b"flb-sidecar\xffdrn\x00";
/// Raised with every change of [`DrainLink`] or [`RawStatus`].
const VERSION: u32 = 5;

/// Bytes that a report may have without being asked for twice.
const REPORT_ROOM: usize = 1 << 20;

/// [`DrainStatus`] as C sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct RawStatus {
    state: u32,
    starting: u32,
    files: u64,
    read_bytes: u64,
    unread_bytes: u64,
    records: u64,
    missed_files: u64,
}

/// [`Account`] as C sees it, but for the outputs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct RawAccount {
    known: u32,
    kept_known: u32,
    kept: u64,
    unwanted: u64,
    lost: u64,
    left: u64,
    evicted_chunks: u64,
}

/// One output of an [`Account`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct RawRouted {
    kept: u64,
    evicted: u64,
    left: u64,
}

/// Every output that chunks tell apart, by its number.
type RawOutputs = [RawRouted; crate::chunks::OUTPUTS as usize];

type Request = unsafe extern "C" fn(*const c_void, u64);
type Status = unsafe extern "C" fn(*const c_void, *mut RawStatus);
type Followed = unsafe extern "C" fn(*const c_void) -> u32;
type Balance = unsafe extern "C" fn(*const c_void, *mut RawAccount, *mut RawOutputs);
type Report = unsafe extern "C" fn(*const c_void, *mut u8, usize) -> usize;

/// What the context of an input of ours starts with.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct DrainLink {
    magic: [u8; 16],
    version: u32,
    bytes: u32,
    handle: *const c_void,
    request: Request,
    status: Status,
    report: Report,
    followed: Followed,
    balance: Balance,
}

/// A handle behind a thin pointer.
struct Shared {
    drain: Arc<dyn Drain>,
    chunks: Option<(Arc<ChunkWatch>, Holder)>,
}

unsafe extern "C" fn request(handle: *const c_void, deadline_ms: u64) {
    // SAFETY: `handle` is the pointer that DrainLink::new made and that its drop gives back.
    let shared = unsafe { &*handle.cast::<Shared>() };
    crate::guard::catch(|| shared.drain.request(Duration::from_millis(deadline_ms)));
}

unsafe extern "C" fn status(handle: *const c_void, out: *mut RawStatus) {
    // SAFETY: as in `request`.
    let shared = unsafe { &*handle.cast::<Shared>() };
    let status = crate::guard::catch(|| shared.drain.status()).unwrap_or_default();
    let raw = RawStatus {
        state: match status.state {
            DrainState::Idle => 0,
            DrainState::Draining => 1,
            DrainState::Drained => 2,
            DrainState::GaveUp => 3,
        },
        starting: u32::from(status.starting),
        files: status.files,
        read_bytes: status.read_bytes,
        unread_bytes: status.unread_bytes,
        records: status.records,
        missed_files: status.missed_files,
    };
    // SAFETY: the caller gives a valid place of this type: same version, same size.
    unsafe { out.write(raw) };
}

unsafe extern "C" fn report(handle: *const c_void, out: *mut u8, room: usize) -> usize {
    // SAFETY: as in `request`.
    let shared = unsafe { &*handle.cast::<Shared>() };
    let text = crate::guard::catch(|| shared.drain.report()).unwrap_or_default();
    if text.len() <= room {
        // SAFETY: the caller gives `room` writable bytes, and the text is not longer.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), out, text.len()) };
    }
    text.len()
}

unsafe extern "C" fn followed(handle: *const c_void) -> u32 {
    // SAFETY: as in `request`.
    let shared = unsafe { &*handle.cast::<Shared>() };
    let sees = shared.chunks.as_ref().map(|(watch, _)| watch.sees());
    u32::from(sees == Some(true))
}

unsafe extern "C" fn balance(
    handle: *const c_void,
    out: *mut RawAccount,
    outputs: *mut RawOutputs,
) {
    // SAFETY: as in `request`.
    let shared = unsafe { &*handle.cast::<Shared>() };
    let account = crate::guard::catch(|| {
        let (watch, holder) = shared.chunks.as_ref()?;
        watch.called(holder);
        watch.account(holder)
    });
    let mut raw = RawAccount::default();
    let mut all: RawOutputs = [RawRouted::default(); crate::chunks::OUTPUTS as usize];
    if let Some(account) = account.flatten() {
        raw = RawAccount {
            known: 1,
            kept_known: u32::from(account.kept.is_some()),
            kept: account.kept.unwrap_or(0),
            unwanted: account.unwanted,
            lost: account.lost,
            left: account.left,
            evicted_chunks: account.evicted_chunks,
        };
        for (number, routed) in account.outputs {
            if let Some(place) = all.get_mut(number as usize) {
                *place = RawRouted {
                    kept: routed.kept,
                    evicted: routed.evicted,
                    left: routed.left,
                };
            }
        }
    }
    // SAFETY: the caller gives valid places of these types: same version, same size.
    unsafe {
        out.write(raw);
        outputs.write(all);
    }
}

impl DrainLink {
    /// A block for an input with this handle; without one nobody finds it.
    pub(crate) fn new(
        drain: Option<Arc<dyn Drain>>,
        chunks: Option<(Arc<ChunkWatch>, Holder)>,
    ) -> Self {
        let handle = drain.map_or(std::ptr::null(), |drain| {
            let shared = Shared { drain, chunks };
            Box::into_raw(Box::new(shared)).cast_const().cast()
        });
        DrainLink {
            magic: MAGIC,
            version: VERSION,
            bytes: size_of::<DrainLink>() as u32,
            handle,
            request,
            status,
            report,
            followed,
            balance,
        }
    }
}

impl Drop for DrainLink {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: made by Box::into_raw in `new`, given back once.
            drop(unsafe { Box::from_raw(self.handle.cast_mut().cast::<Shared>()) });
        }
    }
}

/// An input found in the host that can be drained.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote(*const DrainLink);

impl Remote {
    /// Whether the context at `address` is one of ours.
    pub(crate) fn find(memory: &mut Memory, address: usize) -> Option<Self> {
        let mut head = [0u8; 24];
        if address == 0
            || address % align_of::<DrainLink>() != 0
            || !memory.read(address, &mut head)
        {
            return None;
        }
        let word =
            |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let ours = head[..16] == MAGIC
            && word(16) == VERSION
            && word(20) as usize == size_of::<DrainLink>();
        if !ours {
            return None;
        }
        let link = address as *const DrainLink;
        // SAFETY: magic, version and size say that a DrainLink of this layout is here. The host
        // calls outputs and destroys inputs on the same thread, so it lives through this call.
        let link_has_handle = unsafe { !(*link).handle.is_null() };
        link_has_handle.then_some(Remote(link))
    }

    pub(crate) fn request(self, deadline: Duration) {
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        // SAFETY: see `find`; function and handle belong together.
        unsafe { ((*self.0).request)((*self.0).handle, deadline_ms) };
    }

    pub(crate) fn status(self) -> DrainStatus {
        let mut raw = RawStatus::default();
        // SAFETY: as above, and `raw` is a valid place.
        unsafe { ((*self.0).status)((*self.0).handle, &mut raw) };
        DrainStatus {
            state: match raw.state {
                1 => DrainState::Draining,
                2 => DrainState::Drained,
                3 => DrainState::GaveUp,
                _ => DrainState::Idle,
            },
            starting: raw.starting != 0,
            files: raw.files,
            read_bytes: raw.read_bytes,
            unread_bytes: raw.unread_bytes,
            records: raw.records,
            missed_files: raw.missed_files,
        }
    }

    /// Its chunks are followed.
    pub(crate) fn is_followed(self) -> bool {
        // SAFETY: as above.
        unsafe { ((*self.0).followed)((*self.0).handle) != 0 }
    }

    /// What has become of its records, outputs by their number; `None`: not followed. On the engine's
    /// thread only.
    pub(crate) fn account(self) -> Option<Account> {
        let mut raw = RawAccount::default();
        let mut all: RawOutputs = [RawRouted::default(); crate::chunks::OUTPUTS as usize];
        // SAFETY: as above, and both are valid places.
        unsafe { ((*self.0).balance)((*self.0).handle, &mut raw, &mut all) };
        (raw.known != 0).then(|| Account {
            kept: (raw.kept_known != 0).then_some(raw.kept),
            unwanted: raw.unwanted,
            lost: raw.lost,
            left: raw.left,
            evicted_chunks: raw.evicted_chunks,
            outputs: (0..)
                .zip(all)
                .map(|(number, raw)| {
                    let routed = Routed {
                        kept: raw.kept,
                        evicted: raw.evicted,
                        left: raw.left,
                    };
                    (number, routed)
                })
                .filter(|(_, routed)| *routed != Routed::default())
                .collect(),
        })
    }

    pub(crate) fn report(self) -> String {
        // Making the text takes long where files are many, so it is rarely asked for twice.
        let mut text = vec![0u8; REPORT_ROOM];
        loop {
            // SAFETY: as above; the buffer has as many bytes as are said.
            let len =
                unsafe { ((*self.0).report)((*self.0).handle, text.as_mut_ptr(), text.len()) };
            if len <= text.len() {
                text.truncate(len);
                text.shrink_to_fit();
                return String::from_utf8(text).unwrap_or_else(|error| {
                    String::from_utf8_lossy(error.as_bytes()).into_owned()
                });
            }
            text.resize(len, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Probe(Mutex<Vec<Duration>>);

    impl Drain for Probe {
        fn request(&self, deadline: Duration) {
            self.0.lock().unwrap().push(deadline);
        }

        fn status(&self) -> DrainStatus {
            DrainStatus {
                state: DrainState::Drained,
                starting: true,
                files: 1,
                read_bytes: 2,
                unread_bytes: 3,
                records: 4,
                missed_files: 5,
            }
        }

        fn report(&self) -> String {
            "[1]".repeat(5000)
        }
    }

    #[test]
    fn a_link_is_found_by_address_and_answers() {
        let probe = Arc::new(Probe(Mutex::new(Vec::new())));
        let link = Box::new(DrainLink::new(Some(probe.clone()), None));
        let mut memory = Memory::open().unwrap();
        let remote = Remote::find(&mut memory, &raw const *link as usize).unwrap();
        remote.request(Duration::from_secs(3));
        assert_eq!(*probe.0.lock().unwrap(), [Duration::from_secs(3)]);
        assert_eq!(remote.status(), probe.status());
        assert_eq!(remote.report(), probe.report());
        assert_eq!(remote.account(), None);
    }

    #[test]
    fn foreign_contexts_are_not_taken_for_links() {
        let mut memory = Memory::open().unwrap();
        let other = [0u64; 16];
        assert!(Remote::find(&mut memory, other.as_ptr() as usize).is_none());
        assert!(Remote::find(&mut memory, 0).is_none());
        assert!(Remote::find(&mut memory, 4096).is_none());
        let silent = Box::new(DrainLink::new(None, None));
        assert!(Remote::find(&mut memory, &raw const *silent as usize).is_none());
    }
}
