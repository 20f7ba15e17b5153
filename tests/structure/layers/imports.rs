//! Finds out which files of `src/` use which others, by parsing them with `syn`: imports,
//! re-exports followed to the file that defines the item, paths in code and in macro calls, macros,
//! and methods that are defined in another file than their type. Test modules do not count.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::layers::layer;

/// The maximum number of re-exports that an import may lead through.
const MAX_REEXPORTS: usize = 16;

/// The names that each file uses of each other file. A file is named by its path below `src/`.
pub type Arrows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The imports between the files of the crate whose root is `src/lib.rs` below `root`.
pub fn read_arrows(root: &Path) -> Arrows {
    let mut tree = Tree::default();
    let src = root.join("src");
    tree.add_file(&src, &src.join("lib.rs"), None);
    tree.arrows()
}

/// A module: a file, or a `mod … { … }` inside one.
#[derive(Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    /// What each name in it refers to; one name may refer to a type, a function and a macro.
    names: HashMap<String, Vec<Name>>,
    /// Modules that it imports with `*`.
    globs: Vec<Vec<String>>,
}

enum Name {
    Item,
    Module(usize),
    /// Imported from this path.
    Import(Vec<String>),
}

#[derive(Clone, Copy, PartialEq)]
enum Target {
    Module(usize),
    /// An item of this module.
    Item(usize),
}

#[derive(Default)]
struct Tree {
    modules: Vec<Module>,
    /// The parsed items of each module.
    items: Vec<Vec<syn::Item>>,
    /// Where each `macro_rules!` is defined: macros of a parent are in scope without a path.
    macros: HashMap<String, usize>,
    /// Methods that are defined in another file than their type and can be called from a third
    /// file.
    methods: HashMap<String, BTreeSet<usize>>,
}

impl Tree {
    fn add_file(&mut self, src: &Path, path: &Path, parent: Option<usize>) -> usize {
        let text = fs::read_to_string(path).unwrap();
        let parsed = syn::parse_file(&text).unwrap();
        let file = path.strip_prefix(src).unwrap().display().to_string();
        let is_folder = matches!(path.file_name().unwrap().to_str(), Some("mod.rs" | "lib.rs"));
        let folder =
            if is_folder { path.parent().unwrap().into() } else { path.with_extension("") };
        self.add_module(src, &folder, Module { file, parent, ..Module::default() }, parsed.items)
    }

    /// Adds a module whose submodules are in this folder.
    fn add_module(
        &mut self,
        src: &Path,
        folder: &Path,
        module: Module,
        items: Vec<syn::Item>,
    ) -> usize {
        let id = self.modules.len();
        self.modules.push(module);
        self.items.push(Vec::new());
        let items: Vec<_> =
            items.into_iter().filter(|item| !is_for_tests(attributes(item))).collect();
        for item in &items {
            if let syn::Item::Mod(inner) = item {
                let name = inner.ident.to_string();
                let child = match &inner.content {
                    Some((_, content)) => {
                        let file = self.modules[id].file.clone();
                        let child = Module { file, parent: Some(id), ..Module::default() };
                        self.add_module(src, &folder.join(&name), child, content.clone())
                    }
                    None => self.add_file(src, &file_of_module(folder, &name), Some(id)),
                };
                self.modules[id].names.entry(name).or_default().push(Name::Module(child));
            } else if let syn::Item::Macro(inner) = item
                && let Some(name) = &inner.ident
            {
                self.macros.insert(name.to_string(), id);
            }
        }
        Names { module: &mut self.modules[id] }.visit_items(&items);
        self.items[id] = items;
        id
    }

    fn arrows(&mut self) -> Arrows {
        self.find_methods();
        let mut arrows = Arrows::new();
        for (id, module) in self.modules.iter().enumerate() {
            let mut uses = Uses { tree: self, module: id, found: BTreeSet::new() };
            for item in &self.items[id] {
                uses.visit_item(item);
            }
            let found = uses.found;
            let from = arrows.entry(module.file.clone()).or_default();
            for (to, name) in found {
                if to != module.file {
                    from.entry(to).or_default().insert(name);
                }
            }
        }
        arrows
    }

    /// Finds the methods that are defined in another file than their type.
    fn find_methods(&mut self) {
        let mut methods: HashMap<String, BTreeSet<usize>> = HashMap::new();
        let mut at_home = BTreeSet::new();
        for (id, items) in self.items.iter().enumerate() {
            for item in items {
                let syn::Item::Impl(of) = item else { continue };
                let is_at_home = of.trait_.is_some() || !self.is_of_another_file(id, &of.self_ty);
                for part in &of.items {
                    let syn::ImplItem::Fn(function) = part else { continue };
                    let name = function.sig.ident.to_string();
                    if is_at_home {
                        at_home.insert(name);
                    } else if !matches!(function.vis, syn::Visibility::Inherited) {
                        methods.entry(name).or_default().insert(id);
                    }
                }
            }
        }
        // a name that other types use too does not identify the method
        methods.retain(|name, files| !at_home.contains(name) && files.len() == 1);
        self.methods = methods;
    }

    fn is_of_another_file(&self, id: usize, of: &syn::Type) -> bool {
        let syn::Type::Path(of) = of else { return false };
        let targets = self.resolve(id, &segments(&of.path), MAX_REEXPORTS);
        targets.iter().any(|target| match target {
            Target::Item(home) | Target::Module(home) => {
                self.modules[*home].file != self.modules[id].file
            }
        })
    }

    /// The items and modules that a path in this module leads to; empty if it leads out of the
    /// crate.
    fn resolve(&self, from: usize, path: &[String], depth: usize) -> Vec<Target> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        if depth == 0 {
            return Vec::new();
        }
        match first.as_str() {
            "crate" => self.descend(0, rest, depth),
            "self" => self.descend(from, rest, depth),
            "super" => match self.modules[from].parent {
                Some(parent) if rest.first().is_some_and(|next| next == "super") => {
                    self.resolve(parent, rest, depth)
                }
                Some(parent) => self.descend(parent, rest, depth),
                None => Vec::new(),
            },
            _ => self.descend(from, path, depth),
        }
    }

    /// The items and modules that a path leads to whose first name is in this module.
    fn descend(&self, module: usize, path: &[String], depth: usize) -> Vec<Target> {
        let Some((first, rest)) = path.split_first() else { return vec![Target::Module(module)] };
        if first == "self" {
            return self.descend(module, rest, depth);
        }
        let Some(names) = self.modules[module].names.get(first) else {
            let globs = self.modules[module].globs.iter();
            return globs
                .flat_map(|glob| {
                    let path: Vec<_> = glob.iter().chain(path).cloned().collect();
                    self.resolve(module, &path, depth - 1)
                })
                .collect();
        };
        let mut found = Vec::new();
        for name in names {
            match name {
                Name::Item => found.push(Target::Item(module)),
                Name::Module(child) => found.extend(self.descend(*child, rest, depth)),
                Name::Import(path) => {
                    // a name imported under itself is another kind of item, or a crate
                    let is_itself = path.len() == 1 && path[0] == *first;
                    for target in
                        if is_itself { Vec::new() } else { self.resolve(module, path, depth - 1) }
                    {
                        match target {
                            Target::Module(child) => found.extend(self.descend(child, rest, depth)),
                            Target::Item(_) => found.push(target),
                        }
                    }
                }
            }
        }
        found
    }
}

fn file_of_module(folder: &Path, name: &str) -> PathBuf {
    let beside = folder.join(format!("{name}.rs"));
    if beside.exists() { beside } else { folder.join(name).join("mod.rs") }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// Collects what the names of a module refer to.
struct Names<'a> {
    module: &'a mut Module,
}

impl Names<'_> {
    fn visit_items(&mut self, items: &[syn::Item]) {
        for item in items {
            let name = match item {
                syn::Item::Const(of) => &of.ident,
                syn::Item::Enum(of) => &of.ident,
                syn::Item::Fn(of) => &of.sig.ident,
                syn::Item::Static(of) => &of.ident,
                syn::Item::Struct(of) => &of.ident,
                syn::Item::Trait(of) => &of.ident,
                syn::Item::TraitAlias(of) => &of.ident,
                syn::Item::Type(of) => &of.ident,
                syn::Item::Union(of) => &of.ident,
                syn::Item::Macro(syn::ItemMacro { ident: Some(name), .. }) => name,
                _ => continue,
            };
            self.module.names.entry(name.to_string()).or_default().push(Name::Item);
        }
        for item in items {
            self.visit_item(item); // includes imports inside functions
        }
    }

    fn add_imports(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.add_imports(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => {
                let last = before.last().unwrap().clone();
                self.add_import(last, before.to_vec());
            }
            syn::UseTree::Name(name) => self.add_import(name.ident.to_string(), with(&name.ident)),
            syn::UseTree::Rename(name) => {
                self.add_import(name.rename.to_string(), with(&name.ident));
            }
            syn::UseTree::Glob(_) => self.module.globs.push(before.to_vec()),
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_imports(before, tree));
            }
        }
    }

    fn add_import(&mut self, name: String, path: Vec<String>) {
        self.module.names.entry(name).or_default().push(Name::Import(path));
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.add_imports(&[], &item.tree);
    }

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {} // is added as its own module
}

/// Collects the files that a module uses, and the names it uses.
struct Uses<'a> {
    tree: &'a Tree,
    module: usize,
    found: BTreeSet<(String, String)>,
}

impl Uses<'_> {
    fn add_path(&mut self, path: &[String]) {
        for target in self.tree.resolve(self.module, path, MAX_REEXPORTS) {
            // a path to a module is part of a longer one elsewhere
            if let Target::Item(module) = target {
                self.add(module, path.last().unwrap());
            }
        }
    }

    fn add(&mut self, module: usize, name: &str) {
        self.found.insert((self.tree.modules[module].file.clone(), name.to_owned()));
    }

    fn add_method(&mut self, name: &str) {
        let own = layer(&self.tree.modules[self.module].file);
        for module in self.tree.methods.get(name).into_iter().flatten() {
            // a method is identified only by its name, which is reliable enough only within a layer
            if layer(&self.tree.modules[*module].file) == own {
                self.add(*module, &format!("{name}()"));
            }
        }
    }

    fn add_macro(&mut self, path: &[String]) {
        if let [name] = path
            && let Some(module) = self.tree.macros.get(name)
        {
            self.add(*module, &format!("{name}!"));
        }
        self.add_path(path);
    }

    fn add_imports(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.add_imports(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.add_path(&with(&name.ident)),
            syn::UseTree::Rename(name) => self.add_path(&with(&name.ident)),
            syn::UseTree::Glob(_) => {} // the imported names are found where they are used
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.add_imports(before, tree));
            }
        }
    }

    /// The arguments of a macro are not parsed: every path and every method call in them counts.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let is_punct = |at: usize, sign: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == sign);
        let ident = |at: usize| match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => Some(ident.to_string()),
            _ => None,
        };
        let mut at = 0;
        while at < tokens.len() {
            if let TokenTree::Group(group) = &tokens[at] {
                self.add_tokens(group.stream());
            }
            let Some(first) = ident(at) else {
                at += 1;
                continue;
            };
            let is_method = at > 0 && is_punct(at - 1, '.');
            let mut path = vec![first];
            while is_punct(at + 1, ':')
                && is_punct(at + 2, ':')
                && let Some(next) = ident(at + 3)
            {
                path.push(next);
                at += 3;
            }
            at += 1;
            if is_method {
                self.add_method(&path[0]);
            } else if is_punct(at, '!') {
                self.add_macro(&path);
            } else {
                self.add_path(&path);
            }
        }
    }
}

impl<'ast> Visit<'ast> for Uses<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {} // is added as its own module

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        // a re-exported name is not used here
        if matches!(item.vis, syn::Visibility::Inherited) {
            self.add_imports(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add_path(&segments(path));
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        self.add_method(&call.method.to_string());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.add_macro(&segments(&call.path));
        self.add_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.add_tokens(list.tokens.clone());
        }
    }
}

/// Whether an item is compiled only for tests or for the fuzzer.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let what = list.tokens.to_string();
        list.path.is_ident("cfg") && ["test", "fuzzing", "doctest"].contains(&what.as_str())
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(of) => &of.attrs,
        syn::Item::Enum(of) => &of.attrs,
        syn::Item::Fn(of) => &of.attrs,
        syn::Item::Impl(of) => &of.attrs,
        syn::Item::Macro(of) => &of.attrs,
        syn::Item::Mod(of) => &of.attrs,
        syn::Item::Static(of) => &of.attrs,
        syn::Item::Struct(of) => &of.attrs,
        syn::Item::Trait(of) => &of.attrs,
        syn::Item::Type(of) => &of.attrs,
        syn::Item::Use(of) => &of.attrs,
        _ => &[],
    }
}

/// The shortest import cycle through a file, if there is one.
pub fn cycle_through(arrows: &Arrows, start: &str) -> Option<Vec<String>> {
    let mut before: HashMap<&str, &str> = HashMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(file) = next.pop_front() {
        for to in arrows.get(file).into_iter().flat_map(BTreeMap::keys) {
            if to == start {
                let mut way = vec![start.to_owned(), file.to_owned()];
                let mut at = file;
                while at != start {
                    at = before[at];
                    way.push(at.to_owned());
                }
                way.reverse();
                return Some(way);
            }
            if !before.contains_key(to.as_str()) {
                before.insert(to, file);
                next.push_back(to);
            }
        }
    }
    None
}

#[test]
fn arrows_are_found_wherever_a_file_names_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join("src").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("lib.rs", "mod a; mod b; macro_rules! shout { () => {} }");
    write("b.rs", "pub struct B; impl B { pub fn new() {} }");
    write(
        "a/mod.rs",
        "mod import; mod reexport; mod group; mod code; mod tokens; mod macros; mod method; mod unused;
         pub use self::reexport::Made; pub use crate::b; pub struct Home;",
    );
    write(
        "a/import.rs",
        "use super::Made as Other; #[cfg(test)] mod tests { use super::super::group::X; }",
    );
    write("a/reexport.rs", "pub struct Made;");
    write(
        "a/group.rs",
        "use crate::{a::{self, Made}, b::{B}}; fn f() -> a::Home { todo!() } pub struct X;",
    );
    write("a/code.rs", "fn f() { crate::a::b::B::new(); }");
    write("a/tokens.rs", "fn f() { assert!(true, super::Made); }");
    write("a/macros.rs", "fn f() { shout!(); }");
    write("a/method.rs", "use crate::b::B; impl B { pub fn greet(&self) {} }");
    write("a/unused.rs", "use super::b; fn f(x: &dyn Fn()) { x.greet(); x.new() }");
    let arrows = read_arrows(folder.path());
    let found = arrows.iter().flat_map(|(from, targets)| {
        targets.iter().flat_map(move |(to, names)| {
            names.iter().map(move |name| format!("{from} -> {to}: {name}"))
        })
    });
    let expected = [
        "a/code.rs -> b.rs: new",
        "a/group.rs -> a/mod.rs: Home",
        "a/group.rs -> a/reexport.rs: Made",
        "a/group.rs -> b.rs: B",
        "a/import.rs -> a/reexport.rs: Made",
        "a/macros.rs -> lib.rs: shout!",
        "a/method.rs -> b.rs: B",
        "a/tokens.rs -> a/reexport.rs: Made",
        "a/unused.rs -> a/method.rs: greet()",
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    assert_eq!(cycle_through(&arrows, "b.rs"), None);
    write("b.rs", "use crate::a::group::X; pub struct B;");
    let arrows = read_arrows(folder.path());
    let cycle = cycle_through(&arrows, "b.rs").unwrap();
    assert_eq!(cycle, ["b.rs", "a/group.rs", "b.rs"]);
}
