//! The configuration as written: the files and the variables, and the one way to look a setting up in them. What the settings
//! come to is resolved by one file for each section, next door.

use std::{
    io,
    path::{Path, PathBuf},
};

use portunus_core::secret::SecretText;

use super::{
    Files, Sources,
    environment::{Environment, Variable},
    json,
    mistake::{Report, Where},
    shape::{self, Table},
    tables,
    tree::{Document, Item, Node},
    yaml,
};

/// Everything that was written.
pub(super) struct Raw<'a> {
    pub(super) env: Environment,
    pub(super) config: Document,
    pub(super) mcp: Document,
    pub(super) cwd: &'a Path,
    files: &'a dyn Files,
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

impl<'a> Raw<'a> {
    /// Reads all files. What cannot be read is reported, and missing in what follows.
    pub(super) fn read(sources: &'a Sources<'_>, report: &mut Report) -> Self {
        let reader = Reader { sources, report };
        reader.read()
    }

    /// A setting, from its variables or else from its path in `config.yaml`.
    pub(super) fn setting(&self, path: &str, report: &mut Report) -> Option<Written> {
        self.variable(tables::variables(path), report).or_else(|| written(self.config.root().find_path(path)))
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

    /// A secret, from its variables, from the file that `{VARIABLE}_FILE` names, or the same two ways from `config.yaml`.
    pub(super) fn secret(&self, path: &str, report: &mut Report) -> Option<WrittenSecret> {
        let file_path = format!("{path}_file");
        let from_env = (self.variable(tables::variables(path), report), self.variable(tables::variables(&file_path), report));
        self.secret_of(from_env, report).or_else(|| {
            let root = self.config.root();
            self.secret_of((written(root.find_path(path)), written(root.find_path(&file_path))), report)
        })
    }

    /// A file that a setting names.
    pub(super) fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.read(&self.cwd.join(path))
    }

    /// A secret that was written itself, or by the name of its file; not both.
    pub(super) fn secret_of(
        &self,
        (itself, file): (Option<Written>, Option<Written>),
        report: &mut Report,
    ) -> Option<WrittenSecret> {
        match (itself, file) {
            (None, None) => None,
            (Some(itself), None) => Some(WrittenSecret { text: SecretText::new(itself.text), at: itself.at }),
            (Some(itself), Some(file)) => {
                report.mistake(file.at, "a file, and the secret itself", "one of the two");
                Some(WrittenSecret { text: SecretText::new(itself.text), at: itself.at })
            }
            (None, Some(file)) => match read_text(self.files, &self.cwd.join(&file.text)) {
                Ok(text) => Some(WrittenSecret { text: SecretText::new(text.trim_end_matches(['\r', '\n'])), at: file.at }),
                Err(error) => {
                    report.mistake(file.at, format!("{}: {error}", file.text), "a file that holds the secret and can be read");
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

struct Reader<'a, 'r> {
    sources: &'a Sources<'a>,
    report: &'r mut Report,
}

impl<'a> Reader<'a, '_> {
    fn read(mut self) -> Raw<'a> {
        let args = &self.sources.args;
        let mut env = Environment::of_process(&self.sources.env);
        if let Some((path, text)) = self.file(args.envfile.as_deref(), ".env", "--envfile") {
            env.add_file(&path, &text, args.envfile.is_some(), self.report);
        }
        let config = self.document(args.config.as_deref(), ["config.yaml", "--config"], yaml::parse, &tables::CONFIG, &env);
        let mcp = self.document(args.mcp_config.as_deref(), ["mcp.json", "--mcp-config"], json::parse, &tables::MCP, &env);
        Raw { env, config, mcp, cwd: &self.sources.cwd, files: self.sources.files }
    }

    fn document(
        &mut self,
        asked: Option<&Path>,
        [default, flag]: [&'static str; 2],
        parse: fn(&str) -> Result<Node, (u32, String)>,
        table: &'static Table,
        env: &Environment,
    ) -> Document {
        let Some((path, text)) = self.file(asked, default, flag) else { return Document::default() };
        match parse(&text) {
            Ok(mut root) => {
                shape::check(table, &mut root, &path, env, self.report);
                Document { path, root }
            }
            Err((line, found)) => {
                let language = if flag == "--config" { "YAML" } else { "JSON (with comments and trailing commas, if you like)" };
                let at = Where::File { path: path.clone(), line, key: String::new() };
                self.report.mistake(at, found, format!("well-formed {language}; nothing of this file was read"));
                Document { path, root: Node::default() }
            }
        }
    }

    /// The file that was asked for, or the default one if it exists.
    fn file(&mut self, asked: Option<&Path>, default: &str, flag: &'static str) -> Option<(PathBuf, String)> {
        let path = asked.map_or_else(|| PathBuf::from(default), Path::to_owned);
        match read_text(self.sources.files, &self.sources.cwd.join(&path)) {
            Ok(text) => Some((path, text)),
            Err(error) if asked.is_none() && error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let at = if asked.is_some() {
                    Where::Flag { name: flag }
                } else {
                    Where::File { path: path.clone(), line: 1, key: String::new() }
                };
                self.report.mistake(at, format!("{}: {error}", path.display()), "a file that exists and can be read");
                None
            }
        }
    }
}

/// A file's text, without the byte order mark that some editors put in front.
fn read_text(files: &dyn Files, path: &Path) -> io::Result<String> {
    let text = String::from_utf8(files.read(path)?).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
