//! Tests of names and wording: comments and documents use current words, functions are named by verbs,
//! and names that were replaced do not come back. `CONTRIBUTING.md` says how names are chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

/// Words of an older English, which make a reader stop. Words that are also used in current technical
/// English ("hence", "whose", "whatever") are not listed.
#[rustfmt::skip] // many words on a line
const ARCHAIC: &[&str] = &[
    "albeit", "amiss", "anew", "anybody", "aught", "behold", "beside", "betimes", "dearer", "dearest",
    "everybody", "forthwith", "furnish", "furnished", "furnishes", "henceforth", "hereby", "heretofore",
    "hitherto", "lest", "naught", "nobody", "nobody's", "nought", "oftentimes", "somebody", "somebody's",
    "thereby", "therein", "thereof", "thither", "unto", "vouch", "vouched", "vouches", "whence",
    "wheresoever", "wherever", "whither", "whoever", "whomever", "whosoever", "yonder",
];

/// Comments and documents contain at most this many archaic words in 1,000.
const MAX_PER_1000: usize = 1;

/// Participles that do not end in "-ed", apart from those that are spelled like the verb (`read`, `set`,
/// `put`, `run`, `split`).
#[rustfmt::skip] // many words on a line
const IRREGULAR: &[&str] = &[
    "bent", "begun", "born", "borne", "bought", "bound", "broken", "brought", "built", "caught", "chosen",
    "dealt", "done", "drawn", "driven", "fallen", "felt", "found", "forgotten", "given", "gone", "got",
    "grown", "heard", "held", "hidden", "kept", "known", "laid", "led", "left", "lent", "lost", "made",
    "meant", "met", "paid", "said", "seen", "sent", "shown", "shut", "sold", "sought", "spent", "spoken",
    "stolen", "stood", "sworn", "taken", "taught", "thought", "told", "torn", "understood", "undone",
    "unknown", "unseen", "withdrawn", "won", "worn", "written",
];

/// Words in "-ed" that are no participles.
const VERBS_IN_ED: &[&str] =
    &["embed", "exceed", "feed", "need", "proceed", "seed", "shed", "speed", "succeed", "wed"];

/// Participles that are names of the standard library, for the same thing.
const STANDARD: &[&str] = &[
    "elapsed", // `std::time::Instant::elapsed`
];

/// Names that were replaced by the terms of the field. Names that are also used correctly are not
/// listed: `Domain` of a host in a URL, `Origin` for a web origin, `Verdict` for a finding of `doctor`,
/// `end`, `keys`, `work`.
#[rustfmt::skip] // many words on a line
const REPLACED: &[&str] = &[
    // layers
    "Fault", "Sockets", "Surroundings", "Turned", "among", "furnish", "furnish_with", "is_leaving",
    "keep_names", "may_pass", "refuse_to_begin_anew",
    // sessions and logins
    "Newcomer", "Recognition", "SignedInAs", "Ticket", "Unfit", "Wishes", "all_changed", "end_but",
    "expect_many", "in_force", "is_deaf", "is_one", "let_in", "proved", "recognise", "wishes",
    // throttle
    "Forgiveness", "NotNow", "Staircase", "Steady", "forgiveness", "let_try_again", "may_log_in",
    "never_mind", "was_the_last_of_a_device",
    // passwords and keys
    "BcryptOf", "ForeignHash", "HashCost", "TooDear", "compared", "compared_abroad", "has_place",
    "keep_pace", "left_without", "reads_all_of", "step_back", "text_of", "with_one_more",
    // audit and jobs
    "Happening", "Rounds", "Tallies", "Tally", "Trouble", "clear_away", "look_at_hashes", "look_at_keys",
    "note_thing", "take_in",
    // http and pages
    "AlsoSet", "Edge", "Guest", "Guests", "LetThrough", "Posted", "Presented", "Whose", "WithCookie",
    "blame", "device_of", "end_presented", "hand_out", "handing_out",
    // server
    "Anybody", "Crowd", "Doing", "Hall", "LAST_CALL", "LastCall", "Presence", "Pulse", "Told", "Watched",
    "answer_among", "answer_one", "speak_tls",
    // store
    "Commits", "FromNowOn", "Heard", "OfDriver", "SignedUp", "Undo", "bring_back", "stand_still",
    "take_off", "to_the_end", "turn_to", "vouch", "write_anew",
    // command line and settings
    "Asked", "Stands", "Unfinished", "in_a_sentence", "overlaid",
];

/// How a constant for a bound does not begin: `MAX_` and `MIN_` do.
const BOUND_PREFIXES: &[&str] = &["FEWEST", "LARGEST", "LEAST", "LONGEST", "MOST", "SHORTEST"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files with this extension below a folder, except in folders of generated files.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let is_generated = path.is_symlink() || name == "node_modules" || name == "target";
            if !is_generated && !name.starts_with('.') {
                found.extend(files(&path, extension));
            }
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn name(file: &Path) -> String {
    file.strip_prefix(root()).unwrap().display().to_string()
}

/// The comments of a Rust file.
fn comments(text: &str) -> String {
    let mut found = String::new();
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(comment) = line.strip_prefix("//") {
            found.push_str(comment.trim_start_matches(['/', '!']));
        } else if let Some((_, comment)) = line.split_once(" // ") {
            found.push_str(comment);
        }
        found.push('\n');
    }
    found
}

/// The words of a text, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '\'')
        .map(|word| word.trim_matches('\''))
        .filter(|word| word.chars().any(char::is_alphabetic))
        .map(str::to_lowercase)
}

#[test]
fn comments_and_documents_contain_at_most_one_archaic_word_in_1000() {
    let (mut all, mut archaic) = (0_usize, BTreeMap::<String, BTreeMap<String, usize>>::new());
    let rust = ["src", "tests", "examples", "benches", "fuzz"].map(|folder| root().join(folder));
    let rust = rust.iter().flat_map(|folder| files(folder, "rs"));
    for file in rust.chain(files(root(), "md")) {
        let text = fs::read_to_string(&file).unwrap();
        let is_rust = file.extension().is_some_and(|own| own == "rs");
        let text = if is_rust { comments(&text) } else { text };
        for word in words(&text) {
            all += 1;
            if ARCHAIC.contains(&&*word) {
                *archaic.entry(word).or_default().entry(name(&file)).or_default() += 1;
            }
        }
    }
    assert!(all > 50_000, "{all} words: the comments and documents have moved");
    let count: usize = archaic.values().flat_map(BTreeMap::values).sum();
    assert!(
        count * 1000 <= MAX_PER_1000 * all,
        "{count} archaic words in {all} are more than {MAX_PER_1000} in 1,000: {archaic:#?}"
    );
}

fn is_participle(name: &str) -> bool {
    let is_regular = !name.contains('_')
        && name.ends_with("ed")
        && name.len() > 3
        && !VERBS_IN_ED.contains(&name);
    (is_regular || IRREGULAR.contains(&name)) && !STANDARD.contains(&name)
}

#[derive(Default)]
struct FunctionNames(Vec<String>);

impl<'ast> Visit<'ast> for FunctionNames {
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.0.push(signature.ident.to_string());
        visit::visit_signature(self, signature);
    }
}

#[test]
fn no_function_is_named_by_a_bare_participle() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for file in files(&root().join("src"), "rs") {
        let parsed = syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap();
        let mut functions = FunctionNames::default();
        functions.visit_file(&parsed);
        count += functions.0.len();
        let participles = functions.0.iter().filter(|function| is_participle(function));
        wrong.extend(participles.map(|function| format!("{}: fn {function}", name(&file))));
    }
    assert!(count > 1000, "{count} functions: the sources have moved");
    assert!(wrong.is_empty(), "name these by a verb and its object:\n{}", wrong.join("\n"));
}

/// Adds the identifiers of the tokens: comments, also those of documentation, are none.
fn add_identifiers(tokens: TokenStream, found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => add_identifiers(group.stream(), found),
            TokenTree::Ident(ident) => {
                found.insert(ident.to_string());
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

fn is_replaced(identifier: &str) -> bool {
    let first = identifier.split('_').next().unwrap_or_default();
    REPLACED.contains(&identifier) || BOUND_PREFIXES.contains(&first)
}

#[test]
fn no_name_that_was_replaced_is_used_again() {
    let mut wrong = Vec::new();
    for file in ["src", "examples", "benches", "fuzz"].map(|folder| root().join(folder)) {
        for file in files(&file, "rs") {
            let text = fs::read_to_string(&file).unwrap();
            let mut identifiers = BTreeSet::new();
            add_identifiers(text.parse().unwrap(), &mut identifiers);
            let replaced = identifiers.iter().filter(|identifier| is_replaced(identifier));
            wrong.extend(replaced.map(|identifier| format!("{}: {identifier}", name(&file))));
        }
    }
    assert!(wrong.is_empty(), "these names have been replaced:\n{}", wrong.join("\n"));
}
