//! The configuration as written: the files and the variables, and the one way to look a setting up
//! in them. What the settings come to is resolved by one file for each section, next door.

use std::{
    io,
    path::{Path, PathBuf},
};

use portunus_core::{
    file_access::FileKind,
    secret::SecretText,
    settings::{Form, Reader, Section, Setting, ValueType},
};

use super::{
    access::{ReadFile, Writable},
    check::{self, quoted},
    dialects,
    document::{Document, Item, Node},
    environment::{Environment, Variable},
    json,
    machine::Machine,
    mistake::{Report, Where},
    sources::{Files, Sources},
    yaml,
};

/// What may be written: the sections that the two files are.
#[derive(Clone, Copy)]
pub(super) struct Declared {
    pub(super) config: &'static Section,
    pub(super) mcp: &'static Section,
    /// An entry of `mcp.json`.
    pub(super) server: &'static Section,
}

impl Declared {
    fn server_keys(&self) -> Vec<&'static str> {
        self.server.settings.iter().map(|setting| setting.name).collect()
    }
}

/// Everything that was written.
pub(super) struct Inputs<'a> {
    pub(super) env: Environment,
    pub(super) config: Document,
    pub(super) mcp: Document,
    pub(super) cwd: &'a Path,
    files: Guarded<'a>,
    declared: Declared,
}

/// Reads the settings of one section, which is at `item` if it is written anywhere.
pub(super) struct SectionReader<'a, 'r> {
    inputs: &'a Inputs<'a>,
    item: Option<Item<'a>>,
    report: &'r mut Report,
}

impl Reader for SectionReader<'_, '_> {
    fn read<F: Form>(&mut self, setting: &Setting, form: &F) -> Option<F::Value> {
        let of_file = || written(self.item.as_ref()?.find(setting.name));
        let Written { text, at, .. } =
            self.inputs.variable(setting.variables, self.report).or_else(of_file)?;
        let found = match setting.value {
            ValueType::Secret | ValueType::Personal => "[redacted]".to_owned(),
            _ => format!("`{text}`"),
        };
        form.parse(&text).map_err(|expected| self.report.mistake(at, found, expected)).ok()
    }
}

/// Allows files that others can write. Of the process's environment alone: a file cannot vouch for
/// itself.
pub(super) const ALLOW_WRITABLE_FILES: &str = "ALLOW_WRITABLE_FILES";

/// What a file holds for the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Plain,
    /// Should not be readable by every user of the machine either.
    Secret,
}

/// The files, as far as they are the gateway's own (threat 67): one that others could change is a
/// mistake and is not used.
#[derive(Clone, Copy)]
struct Guarded<'a> {
    files: &'a dyn Files,
    cwd: &'a Path,
    allows_writable: bool,
}

/// A setting as it was written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) text: String,
    pub(super) at: Where,
    /// The variable it was written in, if it was.
    pub(super) variable: Option<&'static str>,
}

/// A secret as it was written, or as the file it points to holds it.
#[derive(Clone, Debug)]
pub(super) struct WrittenSecret {
    pub(super) text: SecretText,
    pub(super) at: Where,
}

impl Written {
    /// Reports a choice that is none.
    pub(super) fn not_one_of(self, choices: &[&str], report: &mut Report) {
        let Self { text, at, .. } = self;
        report.mistake(at, format!("`{text}`"), format!("one of {}", quoted(choices, ", ")));
    }
}

impl<'a> Inputs<'a> {
    /// Reads all files. What cannot be read is reported, and missing in what follows.
    pub(super) fn read(sources: &'a Sources<'_>, declared: Declared, report: &mut Report) -> Self {
        let allows_writable = allows_writable(sources, report);
        let files = Guarded { files: sources.files, cwd: &sources.cwd, allows_writable };
        let reader = FileReader { sources, files, declared, report };
        reader.read()
    }

    /// Reads the settings of the section at this path of `config.yaml`; of the whole file for none.
    pub(super) fn section<'r>(
        &'a self,
        path: &str,
        report: &'r mut Report,
    ) -> SectionReader<'a, 'r> {
        let root = self.config.root();
        let item = if path.is_empty() { Some(root) } else { root.find_path(path) };
        SectionReader { inputs: self, item, report }
    }

    /// Reads the settings of an item of a list or map.
    pub(super) fn item<'r>(
        &'a self,
        item: &Item<'a>,
        report: &'r mut Report,
    ) -> SectionReader<'a, 'r> {
        SectionReader { inputs: self, item: Some(item.clone()), report }
    }

    /// The variables that set what stands at a path of `config.yaml`, such as `store.sqlite.path`.
    fn variables(&self, path: &str) -> &'static [&'static str] {
        let declared = self.declared.config.find_path(path);
        debug_assert!(declared.is_some(), "{path} is read, and not declared");
        declared.map_or(&[], |setting| setting.variables)
    }

    /// A setting, from its variables or else from its path in `config.yaml`.
    pub(super) fn setting(&self, path: &str, report: &mut Report) -> Option<Written> {
        self.variable(self.variables(path), report)
            .or_else(|| written(self.config.root().find_path(path)))
    }

    /// The first of these variables that is set. Two that disagree are a mistake.
    pub(super) fn variable(&self, names: &[&'static str], report: &mut Report) -> Option<Written> {
        let mut found: Option<Written> = None;
        for name in names {
            let Some(Variable { text, at }) = self.env.find(name) else { continue };
            let text = text.trim().to_owned();
            match &found {
                None => found = Some(Written { text, at: at.clone(), variable: Some(name) }),
                Some(first) if first.text == text => {}
                Some(first) => {
                    let first = first.variable.unwrap_or_default();
                    report.mistake(
                        at.clone(),
                        format!("another value than {first} has"),
                        format!("set {first} or {name}, not both"),
                    );
                }
            }
        }
        found
    }

    /// A secret, from its variables, from the file that `{VARIABLE}_FILE` names, or the same two
    /// ways from `config.yaml`.
    pub(super) fn secret(&self, path: &str, report: &mut Report) -> Option<WrittenSecret> {
        let file_path = format!("{path}_file");
        let from_env = (
            self.variable(self.variables(path), report),
            self.variable(self.variables(&file_path), report),
        );
        self.secret_of(from_env, report).or_else(|| {
            let root = self.config.root();
            self.secret_of(
                (written(root.find_path(path)), written(root.find_path(&file_path))),
                report,
            )
        })
    }

    pub(super) fn machine(&self) -> &dyn Machine {
        self.files.files.machine()
    }

    /// A file that a setting names. One that others could change is reported, and `None`.
    pub(super) fn read_file(
        &self,
        written: &Written,
        content: Content,
        report: &mut Report,
    ) -> io::Result<Option<Vec<u8>>> {
        self.files.read(Path::new(&written.text), content, &written.at, report)
    }

    /// A secret that was written itself, or by the name of its file; not both.
    pub(super) fn secret_of(
        &self,
        ways: (Option<Written>, Option<Written>),
        report: &mut Report,
    ) -> Option<WrittenSecret> {
        self.text_of(ways, Content::Secret, report)
    }

    /// The same for what need be no secret.
    pub(super) fn text_of(
        &self,
        (itself, file): (Option<Written>, Option<Written>),
        content: Content,
        report: &mut Report,
    ) -> Option<WrittenSecret> {
        match (itself, file) {
            (None, None) => None,
            (Some(itself), None) => {
                Some(WrittenSecret { text: SecretText::new(itself.text), at: itself.at })
            }
            (Some(itself), Some(file)) => {
                report.mistake(file.at, "a file, and the secret itself", "one of the two");
                Some(WrittenSecret { text: SecretText::new(itself.text), at: itself.at })
            }
            (None, Some(file)) => match self.read_file(&file, content, report).and_then(as_text) {
                Ok(text) => {
                    let text = text?;
                    Some(WrittenSecret {
                        text: SecretText::new(text.trim_end_matches(['\r', '\n'])),
                        at: file.at,
                    })
                }
                Err(error) => {
                    report.mistake(
                        file.at,
                        format!("{}: {error}", file.text),
                        "a file that holds the secret and can be read",
                    );
                    None
                }
            },
        }
    }
}

/// A scalar of a file.
pub(super) fn written(item: Option<Item<'_>>) -> Option<Written> {
    let item = item?;
    Some(Written { text: item.scalar()?.trim().to_owned(), at: item.at(), variable: None })
}

impl Guarded<'_> {
    fn read(
        &self,
        path: &Path,
        content: Content,
        at: &Where,
        report: &mut Report,
    ) -> io::Result<Option<Vec<u8>>> {
        let ReadFile { bytes, writable, is_public } = self.files.read(&self.cwd.join(path))?;
        if is_public && content == Content::Secret {
            let shown = path.display();
            report.warning(
                at.clone(),
                format!("{shown} holds secrets and can be read by every user of this machine: chmod o-r {shown}"),
            );
        }
        let Some(Writable { path, kind, mode, by }) = writable else { return Ok(Some(bytes)) };
        let shown = path.display();
        let what = match kind {
            FileKind::File => shown.to_string(),
            FileKind::Folder => format!("the folder {shown} on the way to it"),
            FileKind::Link => format!("the link {shown} on the way to it"),
        };
        let found = format!("{what} can be changed by {by} (mode {mode:04o})");
        let remedy = format!("{} {shown}", by.remedy());
        if self.allows_writable {
            report.warning(
                at.clone(),
                format!("{found}, which {ALLOW_WRITABLE_FILES} allows: who can do that can run commands as the gateway"),
            );
            return Ok(Some(bytes));
        }
        // Several files may lie in one folder: it is said once.
        if !report.mistakes.iter().any(|mistake| mistake.found == found) {
            let expected = format!(
                "files and folders that nobody but the gateway's own user and root can change: {remedy} (or {ALLOW_WRITABLE_FILES}=1 in the environment, \
                 if all who can change it may run commands as the gateway)"
            );
            report.mistake(at.clone(), found, expected);
        }
        Ok(None)
    }
}

struct FileReader<'a, 'r> {
    sources: &'a Sources<'a>,
    files: Guarded<'a>,
    declared: Declared,
    report: &'r mut Report,
}

impl<'a> FileReader<'a, '_> {
    fn read(mut self) -> Inputs<'a> {
        let args = &self.sources.args;
        let mut env = Environment::of_process(&self.sources.env);
        if let Some((path, text)) =
            self.file(args.envfile.as_deref(), [".env", "--envfile"], Content::Secret)
        {
            env.add_file(&path, &text, args.envfile.is_some(), self.report);
        }
        let config = self.document(
            args.config.as_deref(),
            ["config.yaml", "--config"],
            yaml::parse,
            self.declared.config,
            &env,
        );
        let mcp = self.document(
            args.mcp_config.as_deref(),
            ["mcp.json", "--mcp-config"],
            json::parse,
            self.declared.mcp,
            &env,
        );
        let Self { sources, files, declared, .. } = self;
        Inputs { env, config, mcp, cwd: &sources.cwd, files, declared }
    }

    fn document(
        &mut self,
        asked: Option<&Path>,
        [default, flag]: [&'static str; 2],
        parse: fn(&str) -> Result<Node, (u32, String)>,
        section: &'static Section,
        env: &Environment,
    ) -> Document {
        let Some((path, text)) = self.file(asked, [default, flag], Content::Plain) else {
            return Document::default();
        };
        match parse(&text) {
            Ok(mut root) => {
                if flag == "--mcp-config" {
                    let at = |line, key: &str| Where::File {
                        path: path.clone(),
                        line,
                        key: key.to_owned(),
                    };
                    dialects::normalize(&mut root, &self.declared.server_keys(), &at, self.report);
                }
                check::check(section, &mut root, &path, env, self.report);
                Document { path, root }
            }
            Err((line, found)) => {
                let language = if flag == "--config" {
                    "YAML"
                } else {
                    "JSON (with comments and trailing commas, if you like)"
                };
                let at = Where::File { path: path.clone(), line, key: String::new() };
                self.report.mistake(
                    at,
                    found,
                    format!("well-formed {language}; nothing of this file was read"),
                );
                Document { path, root: Node::default() }
            }
        }
    }

    /// The file that was asked for, or the default one if it exists.
    fn file(
        &mut self,
        asked: Option<&Path>,
        [default, flag]: [&'static str; 2],
        content: Content,
    ) -> Option<(PathBuf, String)> {
        let path = asked.map_or_else(|| PathBuf::from(default), Path::to_owned);
        let at = Where::File { path: path.clone(), line: 1, key: String::new() };
        match self.files.read(&path, content, &at, self.report).and_then(as_text) {
            Ok(text) => text.map(|text| (path, text)),
            Err(error) if asked.is_none() && error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let at = if asked.is_some() {
                    Where::Flag { name: flag }
                } else {
                    Where::File { path: path.clone(), line: 1, key: String::new() }
                };
                self.report.mistake(
                    at,
                    format!("{}: {error}", path.display()),
                    "a file that exists and can be read",
                );
                None
            }
        }
    }
}

/// A file's text, without the byte order mark that some editors put in front.
fn as_text(bytes: Option<Vec<u8>>) -> io::Result<Option<String>> {
    let Some(bytes) = bytes else { return Ok(None) };
    let text = String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))?;
    Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
}

fn allows_writable(sources: &Sources<'_>, report: &mut Report) -> bool {
    match sources.env.get(ALLOW_WRITABLE_FILES).map(|text| text.trim()) {
        Some("1" | "true") => true,
        None | Some("" | "0" | "false") => false,
        Some(text) => {
            let at = Where::Variable { name: ALLOW_WRITABLE_FILES.to_owned() };
            report.mistake(
                at,
                format!("`{text}`"),
                "1 to allow files that others can change, or 0",
            );
            false
        }
    }
}
