//! Which files the instance follows: shell patterns, and the folders they look into.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use flb_sidecar_sdk::ConfigError;
use glob::{MatchOptions, Pattern};

use crate::fs::{Entry, Fs, Kind};
use crate::source::listings::{ListingKey, Listings};

/// As the shell and glob(3) match: wildcards match neither a slash nor a leading dot.
const IN_PATH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// As the stock tail excludes, with fnmatch(3) without flags: wildcards match anything.
const IN_EXCLUDE: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// The patterns of an instance.
#[derive(Debug)]
pub(crate) struct Globs {
    paths: Vec<PathPattern>,
    excludes: Vec<Pattern>,
}

#[derive(Debug)]
struct PathPattern {
    /// As it was written.
    text: String,
    root: PathBuf,
    /// The root is where the host was started, and the pattern does not say so.
    bare: bool,
    folders: Vec<Part>,
    file: Part,
}

#[derive(Debug)]
enum Part {
    Literal(OsString),
    Wild(Pattern),
}

impl Part {
    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Part::Literal(literal) => literal.as_bytes() == name,
            Part::Wild(pattern) => pattern.matches_with(&String::from_utf8_lossy(name), IN_PATH),
        }
    }
}

/// The folder of patterns without one, which is not part of the names that they find.
const HERE: &str = ".";

/// What a scan comes by.
pub(crate) trait Visitor {
    /// Whether a folder that a link leads to is looked into.
    fn enters(&mut self, folder: &Path) -> bool;
    /// Whether one more folder, which a wildcard has found, is looked into.
    fn admits(&mut self, folder: &Path) -> bool;
    /// A folder whose entries matter: changes in it change what the patterns match.
    fn folder(&mut self, path: &Path);
    /// A folder that does not hold yet what a pattern looks into.
    fn waits(&mut self, path: &Path);
    /// A folder that is there and cannot be listed.
    fn unreadable(&mut self, path: &Path, error: io::Error);
    /// A name in a folder that matches and is not excluded. It may be of any file type, or missing.
    /// `inode` is that of the name itself (a symbolic link's own), if a listing told it.
    fn file(&mut self, folder: &Path, name: &OsStr, inode: Option<u64>);
}

/// A pattern, and how many of its parts a folder has that it looks into.
type Wanted = (usize, usize);

/// What one pattern looks for in a folder.
struct Look<'a> {
    key: ListingKey,
    part: &'a Part,
    /// Files; else folders.
    files: bool,
    /// Folders that it found, and whether there are links that may come to lead to one.
    found: Vec<PathBuf>,
    links: bool,
}

impl<'a> Look<'a> {
    fn new(folder: &Path, (number, depth): Wanted, part: &'a Part) -> Self {
        Look {
            key: (folder.to_owned(), number, depth),
            part,
            files: false,
            found: Vec::new(),
            links: false,
        }
    }

    fn below(&self) -> Wanted {
        let (_, number, depth) = &self.key;
        (*number, depth + 1)
    }

    /// A name that matches, if it is that of a folder.
    fn at(&mut self, fs: &Fs, folder: &Path, entry: &Entry, visitor: &mut dyn Visitor) {
        let link = entry.kind == Some(Kind::Link);
        // Of a hundred thousand files nobody needs to be asked what they are.
        if matches!(entry.kind, Some(Kind::File | Kind::Other)) {
            return;
        }
        let path = folder.join(&entry.name);
        if fs.is_dir(&path) && (!link || visitor.enters(&path)) {
            if visitor.admits(&path) {
                self.found.push(path);
            }
        } else {
            self.links |= link;
        }
    }
}

/// Folders, each once, with all that look into it.
fn together(mut each: Vec<(PathBuf, Wanted)>) -> Vec<(PathBuf, Vec<Wanted>)> {
    let mut all: Vec<(PathBuf, Vec<Wanted>)> = Vec::with_capacity(each.len());
    // One pattern finds each once.
    if each.windows(2).any(|two| two[0].1 != two[1].1) {
        each.sort_by(|(one, _), (two, _)| one.as_os_str().cmp(two.as_os_str()));
    }
    for (folder, wanted) in each {
        match all.last_mut() {
            Some((last, by)) if last.as_os_str() == folder.as_os_str() => by.push(wanted),
            _ => all.push((folder, vec![wanted])),
        }
    }
    all
}

impl Globs {
    /// Reads the patterns of `path` and `exclude_path`.
    pub(crate) fn parse(paths: &[&str], excludes: &[&str]) -> Result<Self, ConfigError> {
        Ok(Globs {
            paths: paths
                .iter()
                .map(|text| PathPattern::parse(text))
                .collect::<Result<_, _>>()?,
            excludes: excludes
                .iter()
                .map(|text| compile("exclude_path", text, text))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The folders that the patterns name.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(|pattern| pattern.root.as_path())
    }

    /// Walks the folders that the patterns look into. Folders that `listings` knows to be
    /// unchanged are not listed, and their files not offered again.
    pub(crate) fn scan(&self, listings: &mut Listings, visitor: &mut dyn Visitor) {
        let roots = self.paths.iter().enumerate();
        let roots = roots.map(|(number, pattern)| (pattern.root.clone(), (number, 0)));
        self.walk(roots.collect(), listings, visitor);
    }

    /// The same for what is in `folder` and below it, which has just come.
    pub(crate) fn scan_folder(
        &self,
        folder: &Path,
        listings: &mut Listings,
        visitor: &mut dyn Visitor,
    ) {
        let mut from = Vec::new();
        for (number, pattern) in self.paths.iter().enumerate() {
            if let Some(depth) = pattern.depth_of(folder) {
                from.push((folder.to_owned(), (number, depth)));
            } else if pattern.root.starts_with(folder) {
                from.push((pattern.root.clone(), (number, 0)));
            }
        }
        self.walk(from, listings, visitor);
    }

    /// Walks what the patterns look into from these folders on.
    fn walk(
        &self,
        from: Vec<(PathBuf, Wanted)>,
        listings: &mut Listings,
        visitor: &mut dyn Visitor,
    ) {
        let fs = listings.fs.clone();
        let mut places = together(from);
        places.retain(|(folder, wanted)| {
            if !is_there(&fs, folder, visitor) {
                if let Some(above) = folder.ancestors().skip(1).find(|above| fs.is_dir(above)) {
                    visitor.waits(above);
                }
                return false;
            }
            if wanted.iter().any(|(_, depth)| *depth == 0) {
                visitor.enters(folder)
            } else {
                may_enter(&fs, folder, visitor) && visitor.admits(folder)
            }
        });
        while !places.is_empty() {
            let mut below = Vec::new();
            for (folder, wanted) in &places {
                below.extend(self.look_into(folder, wanted, listings, visitor));
            }
            places = below;
        }
    }

    /// Offers the files in a folder, and says which folders in it are to be looked into.
    fn look_into(
        &self,
        folder: &Path,
        wanted: &[Wanted],
        listings: &mut Listings,
        visitor: &mut dyn Visitor,
    ) -> Vec<(PathBuf, Vec<Wanted>)> {
        let fs = listings.fs.clone();
        let mut below = Vec::new();
        let mut lists = Vec::new();
        let mut matters = false;
        for &(number, depth) in wanted {
            let pattern = &self.paths[number];
            match pattern.folders.get(depth) {
                Some(Part::Literal(name)) => {
                    let path = folder.join(name);
                    if is_there(&fs, &path, visitor) && may_enter(&fs, &path, visitor) {
                        below.push((path, (number, depth + 1)));
                    } else {
                        visitor.waits(folder);
                    }
                }
                Some(part @ Part::Wild(_)) => lists.push(Look::new(folder, (number, depth), part)),
                None => {
                    matters = true;
                    match &pattern.file {
                        Part::Literal(name) => self.offer(folder, name, None, visitor),
                        part @ Part::Wild(_) => {
                            let look = Look::new(folder, (number, depth), part);
                            lists.push(Look {
                                files: true,
                                ..look
                            });
                        }
                    }
                }
            }
        }
        if matters || !lists.is_empty() {
            visitor.folder(folder);
        }
        let there = (!lists.is_empty()).then(|| fs.metadata(folder));
        let there = there.and_then(Result::ok);
        // What is unchanged, or gone, is not listed.
        lists.retain(|look| {
            let now = there.as_ref();
            let changed = now.is_some_and(|now| listings.is_changed(&look.key, now));
            if !changed {
                let known = listings.subfolders(&look.key);
                below.extend(known.map(|folder| (folder, look.below())));
            }
            changed
        });
        let Some(metadata) = there.filter(|_| !lists.is_empty()) else {
            return together(below);
        };
        // Once for all patterns: there may be a hundred thousand names.
        let listed = fs.list(folder).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                for look in &mut lists {
                    if !look.part.matches(entry.name.as_bytes()) {
                        continue;
                    }
                    if look.files {
                        self.offer(folder, &entry.name, Some(entry.inode), visitor);
                    } else {
                        look.at(&fs, folder, &entry, visitor);
                    }
                }
            }
            Ok(())
        });
        for look in lists {
            let folders = look.found.iter();
            below.extend(folders.map(|folder| (folder.clone(), look.below())));
            match &listed {
                // A link may lead to a folder later, without any change here.
                Ok(()) if look.links => listings.forget(&look.key),
                Ok(()) => listings.put(look.key, &metadata, look.found),
                Err(_) => {}
            }
        }
        if let Err(error) = listed {
            visitor.unreadable(folder, error);
        }
        together(below)
    }

    /// Whether `path`, in a folder that a scan came by, is to be followed.
    pub(crate) fn matches(&self, path: &Path) -> bool {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return false;
        };
        !self.excluded(path)
            && self
                .paths
                .iter()
                .any(|p| p.file.matches(name.as_bytes()) && p.is_folder(folder))
    }

    /// The patterns that find none of these files.
    pub(crate) fn without_files<P: AsRef<Path>>(
        &self,
        files: impl Iterator<Item = P> + Clone,
    ) -> impl Iterator<Item = &str> {
        let finds = move |pattern: &PathPattern| {
            files.clone().any(|path| {
                let path = path.as_ref();
                let (folder, name) = (path.parent(), path.file_name());
                folder.is_some_and(|folder| pattern.is_folder(folder))
                    && name.is_some_and(|name| pattern.file.matches(name.as_bytes()))
            })
        };
        let none = self.paths.iter().filter(move |pattern| !finds(pattern));
        none.map(|pattern| pattern.text.as_str())
    }

    /// The name of a file at `path`, as the pattern that finds it has it.
    pub(crate) fn name_of<'a>(&self, path: &'a Path) -> &'a Path {
        match path.strip_prefix(HERE) {
            Ok(name) if self.paths.iter().any(|pattern| pattern.bare) => name,
            _ => path,
        }
    }

    fn offer(&self, folder: &Path, name: &OsStr, inode: Option<u64>, visitor: &mut dyn Visitor) {
        if self.excludes.is_empty() || !self.excluded(&folder.join(name)) {
            visitor.file(folder, name, inode);
        }
    }

    fn excluded(&self, path: &Path) -> bool {
        !self.excludes.is_empty() && {
            // Of a pattern without a folder, the name is what the stock tail compares.
            let text = self.name_of(path).to_string_lossy();
            self.excludes
                .iter()
                .any(|pattern| pattern.matches_with(&text, IN_EXCLUDE))
        }
    }
}

impl PathPattern {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let text = match (text.strip_prefix("~/"), std::env::var("HOME")) {
            (Some(rest), Ok(home)) => format!("{home}/{rest}"),
            _ => text.to_owned(),
        };
        let is_wild = |name: &str| name.contains(['*', '?', '[', '\\']);
        let plain = text.split('/').take_while(|name| !is_wild(name));
        let plain: usize = plain.map(|name| name.len() + 1).sum();
        let file_at = text.rfind('/').map_or(0, |slash| slash + 1);
        // The beginning stays as it was written, since records have it.
        let (root, rest) = text.split_at(plain.min(file_at));
        let mut parts = Vec::new();
        for name in rest.split('/').filter(|name| !matches!(*name, "" | ".")) {
            parts.push(if is_wild(name) {
                Part::Wild(compile("path", name, &text)?)
            } else {
                Part::Literal(name.into())
            });
        }
        let Some(file) = parts.pop().filter(|_| !text.ends_with('/')) else {
            return Err(ConfigError::value(
                "path",
                &text,
                "a path or a shell pattern of files, such as /var/log/app/*.log",
            ));
        };
        let bare = root.is_empty();
        let root = match root.trim_end_matches('/') {
            "" if bare => HERE,
            "" => "/",
            root => root,
        };
        Ok(PathPattern {
            root: root.into(),
            text,
            bare,
            folders: parts,
            file,
        })
    }

    fn is_folder(&self, folder: &Path) -> bool {
        self.depth_of(folder) == Some(self.folders.len())
    }

    /// How many parts of the pattern `folder` has; `None`: it is not on the pattern's way.
    fn depth_of(&self, folder: &Path) -> Option<usize> {
        let mut parts = self.folders.iter();
        let mut depth = 0;
        for name in folder.strip_prefix(&self.root).ok()?.components() {
            let part = parts.next()?;
            if !part.matches(name.as_os_str().as_bytes()) {
                return None;
            }
            depth += 1;
        }
        Some(depth)
    }
}

fn may_enter(fs: &Fs, folder: &Path, visitor: &mut dyn Visitor) -> bool {
    !fs.is_symlink(folder) || visitor.enters(folder)
}

/// Whether there is such a folder.
fn is_there(fs: &Fs, folder: &Path, visitor: &mut dyn Visitor) -> bool {
    match fs.metadata(folder) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                visitor.unreadable(folder, error);
            }
            false
        }
    }
}

/// Classes of characters inside brackets, as ranges.
const CLASSES: [(&str, &str); 7] = [
    ("[:digit:]", "0-9"),
    ("[:xdigit:]", "0-9A-Fa-f"),
    ("[:lower:]", "a-z"),
    ("[:upper:]", "A-Z"),
    ("[:alpha:]", "A-Za-z"),
    ("[:alnum:]", "0-9A-Za-z"),
    ("[:space:]", " \t\r\n"),
];

/// Translates what glob(3) and the glob crate spell differently.
fn compile(option: &str, pattern: &str, whole: &str) -> Result<Pattern, ConfigError> {
    let mut plain = pattern.to_owned();
    for (class, ranges) in CLASSES {
        plain = plain.replace(class, ranges);
    }
    if plain.contains("[:") {
        let allowed = format!("classes of characters like {}", CLASSES[0].0);
        return Err(ConfigError::value(option, whole, allowed));
    }
    let mut translated = String::with_capacity(pattern.len());
    let mut chars = plain.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            // Only one star: two have a meaning of their own in the glob crate.
            '*' if translated.ends_with('*') => {}
            '[' if chars.peek() == Some(&'^') => {
                chars.next();
                translated.push_str("[!");
            }
            '\\' => match chars.next() {
                Some(escaped @ ('*' | '?' | '[' | ']')) => {
                    translated.push('[');
                    translated.push(escaped);
                    translated.push(']');
                }
                Some(other) => translated.push(other),
                None => {}
            },
            c => translated.push(c),
        }
    }
    Pattern::new(&translated).map_err(|error| {
        ConfigError::value(
            option,
            whole,
            format_args!("shell patterns of *, ?, [abc] and [!abc] ({})", error.msg),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[derive(Default)]
    struct Seen {
        folders: Vec<PathBuf>,
        waits: Vec<PathBuf>,
        files: Vec<PathBuf>,
    }

    impl Visitor for Seen {
        fn enters(&mut self, _: &Path) -> bool {
            true
        }
        fn admits(&mut self, _: &Path) -> bool {
            true
        }
        fn folder(&mut self, path: &Path) {
            self.folders.push(path.to_owned());
        }
        fn waits(&mut self, path: &Path) {
            self.waits.push(path.to_owned());
        }
        fn unreadable(&mut self, path: &Path, error: io::Error) {
            panic!("{}: {error}", path.display());
        }
        fn file(&mut self, folder: &Path, name: &OsStr, _inode: Option<u64>) {
            self.files.push(folder.join(name));
        }
    }

    fn scan(dir: &Path, paths: &[&str], excludes: &[&str]) -> Vec<String> {
        let paths: Vec<String> = paths
            .iter()
            .map(|p| dir.join(p).to_string_lossy().into_owned())
            .collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let globs = Globs::parse(&paths, excludes).unwrap();
        let mut seen = Seen::default();
        globs.scan(&mut Listings::default(), &mut seen);
        for file in &seen.files {
            assert!(globs.matches(file), "{file:?}");
        }
        let mut names: Vec<String> = seen
            .files
            .iter()
            .map(|f| f.strip_prefix(dir).unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn patterns_find_what_the_shell_finds() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("pods/one")).unwrap();
        fs::create_dir_all(dir.path().join("pods/two")).unwrap();
        for name in [
            "a.log",
            "b.log",
            ".hidden.log",
            "a.log.1",
            "b.gz",
            "s*r",
            "star",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::write(dir.path().join("pods/one/x.log"), "").unwrap();
        fs::write(dir.path().join("pods/two/x.log"), "").unwrap();
        let find = |paths: &[&str], excludes: &[&str]| scan(dir.path(), paths, excludes);
        assert_eq!(find(&["*.log"], &[]), ["a.log", "b.log"]);
        assert_eq!(find(&["[!b].log*"], &[]), ["a.log", "a.log.1"]);
        assert_eq!(find(&["[^b].log"], &[]), ["a.log"]);
        assert_eq!(
            find(&["*.log", "b.*"], &["*.gz"]),
            ["a.log", "b.log", "b.log"]
        );
        assert_eq!(
            find(&["pods/*/x.log", "pods/on?/**.log"], &[]),
            ["pods/one/x.log", "pods/one/x.log", "pods/two/x.log"]
        );
        assert_eq!(find(&["s\\*r"], &[]), ["s*r"]);
        assert_eq!(find(&["[[:alpha:]].log"], &[]), ["a.log", "b.log"]);
        assert_eq!(find(&["[![:upper:]b].log"], &[]), ["a.log"]);
        assert_eq!(find(&["missing.log"], &[]), ["missing.log"]);
        assert_eq!(find(&["nowhere/*.log"], &[]), [""; 0]);
    }

    #[test]
    fn a_folder_is_looked_into_once_for_all_patterns() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("one/two")).unwrap();
        for name in ["a.log", "one/b.log", "one/two/c.log"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let patterns = ["*.log", "*/*.log", "o*/two/*.log", "*/t*/c.log"];
        let patterns = patterns.map(|pattern| dir.path().join(pattern).display().to_string());
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let globs = Globs::parse(&patterns, &[]).unwrap();
        let mut listings = Listings::default();
        for _ in 0..2 {
            let mut seen = Seen::default();
            globs.scan(&mut listings, &mut seen);
            let below = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().to_owned();
            let mut folders: Vec<_> = seen.folders.iter().map(below).collect();
            folders.sort();
            assert_eq!(folders, ["", "one", "one/two"].map(PathBuf::from));
            let mut files: Vec<_> = seen.files.iter().map(below).collect();
            files.sort();
            let all = ["a.log", "one/b.log", "one/two/c.log", "one/two/c.log"];
            assert_eq!(files, all.map(PathBuf::from));
        }
    }

    #[test]
    fn patterns_that_find_nothing_are_known() {
        let paths = [
            "/logs/*.log",
            "/logs/app/*.txt",
            "/logs/other.log",
            "/*/x.log",
        ];
        let globs = Globs::parse(&paths, &[]).expect("they are patterns");
        let none = |files: &[&str]| -> Vec<String> {
            let without = globs.without_files(files.iter());
            without.map(str::to_owned).collect()
        };
        assert_eq!(none(&[]), paths);
        assert_eq!(none(&["/logs/a.log"]), paths[1..]);
        assert_eq!(
            none(&["/logs/x.log", "/logs/app/a.txt", "/logs/other.log"]),
            [""; 0]
        );
    }

    #[test]
    fn names_are_as_the_patterns_have_them() {
        for (pattern, path, name) in [
            ("*.log", "./a.log", "a.log"),
            ("./*.log", "./a.log", "./a.log"),
            ("/x//y/*.log", "/x//y/a.log", "/x//y/a.log"),
            ("x/*.log", "x/a.log", "x/a.log"),
            ("/*.log", "/a.log", "/a.log"),
            ("a.log", "./a.log", "a.log"),
            ("/a.log", "/a.log", "/a.log"),
            ("*/a.log", "./x/a.log", "x/a.log"),
        ] {
            let globs = Globs::parse(&[pattern], &[]).unwrap();
            assert!(globs.matches(Path::new(path)), "{pattern}");
            let found = globs.paths[0]
                .root
                .join(Path::new(path).file_name().unwrap());
            if pattern != "*/a.log" {
                assert_eq!(found.as_os_str(), path, "{pattern}");
            }
            assert_eq!(
                globs.name_of(Path::new(path)).as_os_str(),
                name,
                "{pattern}"
            );
        }
    }

    #[test]
    fn exclude_path_looks_at_names_as_the_patterns_have_them() {
        for (pattern, exclude, path, followed) in [
            ("ep_*.txt", "ep_ignore*.txt", "./ep_ignore1.txt", false),
            ("ep_*.txt", "ep_ignore*.txt", "./ep_a.txt", true),
            ("ep_*.txt", "*ignore*", "./ep_ignore1.txt", false),
            ("./ep_*.txt", "ep_ignore*.txt", "./ep_ignore1.txt", true),
            ("./ep_*.txt", "./ep_ignore*.txt", "./ep_ignore1.txt", false),
            ("x/ep_*.txt", "x/ep_ignore*.txt", "x/ep_ignore1.txt", false),
            ("/ep_*.txt", "ep_ignore*.txt", "/ep_ignore1.txt", true),
        ] {
            let globs = Globs::parse(&[pattern], &[exclude]).unwrap();
            let found = globs.matches(Path::new(path));
            assert_eq!(found, followed, "{pattern} {exclude}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_be_is_refused_with_its_option() {
        for path in ["/var/log/[", "/", "/var/log/", "", "/var/[[:punct:]]"] {
            let error = Globs::parse(&[path], &[]).unwrap_err().to_string();
            assert!(error.contains("'path'") && error.contains(path), "{error}");
        }
        let error = Globs::parse(&["/a"], &["x["]).unwrap_err().to_string();
        assert!(error.contains("'exclude_path'"), "{error}");
    }
}
