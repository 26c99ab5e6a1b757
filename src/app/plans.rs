//! Dialplans and recordings: from folders to checked values.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::dialplan::{self, Finding, Plan, Severity, Source};
use crate::domain::Language;
use crate::media::{LibraryErrors, PromptLibrary};
use crate::speech::Catalogue;

/// A plan that may be put into force, and what it refers to.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub plan: Arc<Plan>,
    pub catalogue: Arc<Catalogue>,
    pub library: Arc<PromptLibrary>,
    /// What an admin should look at, though it keeps nothing from working.
    pub warnings: Vec<Finding>,
}

/// Why a plan can't be put into force. `Display` names every problem with its place.
#[derive(Debug)]
pub enum LoadError {
    Folder {
        folder: PathBuf,
        why: String,
    },
    Recordings(LibraryErrors),
    /// Lines of `catalogue.tsv` files, each with its file.
    Catalogue(Vec<String>),
    /// Errors and warnings of the dialplans.
    Plan(Vec<Finding>),
    /// What is wrong with the recordings, and what is wrong besides.
    Several(Vec<LoadError>),
}

impl LoadError {
    /// What was found in dialplans.
    pub fn findings(&self) -> Vec<&Finding> {
        match self {
            Self::Plan(findings) => findings.iter().collect(),
            Self::Several(errors) => errors.iter().flat_map(Self::findings).collect(),
            Self::Folder { .. } | Self::Recordings(_) | Self::Catalogue(_) => Vec::new(),
        }
    }

    /// Everything else, a line for each problem.
    pub fn problems(&self) -> Vec<String> {
        match self {
            Self::Plan(_) => Vec::new(),
            Self::Several(errors) => errors.iter().flat_map(Self::problems).collect(),
            Self::Folder { .. } | Self::Recordings(_) | Self::Catalogue(_) => {
                self.to_string().lines().map(str::to_owned).collect()
            }
        }
    }
}

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { folder, why } => write!(f, "{}: {why}", folder.display()),
            Self::Recordings(errors) => errors.fmt(f),
            Self::Catalogue(lines) => f.write_str(&lines.join("\n")),
            Self::Plan(findings) => {
                for (n, finding) in findings.iter().enumerate() {
                    let gap = if n == 0 { "" } else { "\n\n" };
                    write!(f, "{gap}{finding}")?;
                }
                Ok(())
            }
            Self::Several(errors) => {
                for (n, error) in errors.iter().enumerate() {
                    let gap = if n == 0 { "" } else { "\n\n" };
                    write!(f, "{gap}{error}")?;
                }
                Ok(())
            }
        }
    }
}

/// Reads recordings, catalogue and dialplans, and checks them against each other.
pub fn load(config: &Config) -> Result<Loaded, LoadError> {
    match load_library(config) {
        Ok(library) => load_with(config, Arc::new(library)),
        Err(recordings) => Err(match check_texts(config) {
            Ok(()) => recordings,
            Err(besides) => LoadError::Several(vec![recordings, besides]),
        }),
    }
}

/// The dialplans, checked against the texts of the recordings alone: for those who ask what groups
/// there are, and need no sound.
pub fn read_plan(config: &Config) -> Result<Plan, LoadError> {
    let catalogue = read_catalogue(&config.prompts.folder)?;
    let sources = read_sources(&config.dialplans.folder)?;
    let loaded =
        dialplan::load(&sources, &catalogue, &settings(config)).map_err(LoadError::Plan)?;
    Ok(loaded.plan)
}

/// Checks the dialplans against the texts alone, so that an admin hears of their mistakes together
/// with those of the recordings.
fn check_texts(config: &Config) -> Result<(), LoadError> {
    let catalogue = read_catalogue(&config.prompts.folder)?;
    if Language::ALL.into_iter().all(|language| catalogue.ids(language).next().is_none()) {
        // Without texts each line would be wrong.
        read_sources(&config.dialplans.folder)?;
        return Ok(());
    }
    load_rules(config).map(|_| ())
}

/// The dialplans, checked against the texts alone: for what needs no sound.
pub fn load_rules(config: &Config) -> Result<Plan, LoadError> {
    let catalogue = read_catalogue(&config.prompts.folder)?;
    let sources = read_sources(&config.dialplans.folder)?;
    let loaded = dialplan::load(&sources, &catalogue, &settings(config));
    loaded.map(|loaded| loaded.plan).map_err(LoadError::Plan)
}

/// The same with recordings that are already in memory.
pub fn load_with(config: &Config, library: Arc<PromptLibrary>) -> Result<Loaded, LoadError> {
    let mut catalogue = read_catalogue(&config.prompts.folder)?;
    // What has a text but no sound can't be said.
    catalogue.retain(|language, id| library.get(language, id).is_some());
    let sources = read_sources(&config.dialplans.folder)?;
    let loaded =
        dialplan::load(&sources, &catalogue, &settings(config)).map_err(LoadError::Plan)?;
    Ok(Loaded {
        plan: Arc::new(loaded.plan),
        catalogue: Arc::new(catalogue),
        library,
        warnings: loaded.warnings,
    })
}

/// What dialplans take from the settings.
pub fn settings(config: &Config) -> dialplan::Settings {
    dialplan::Settings { region: config.sip.region }
}

/// Reads every recording of every language.
pub fn load_library(config: &Config) -> Result<PromptLibrary, LoadError> {
    PromptLibrary::load(&config.prompts.folder, &Language::ALL).map_err(LoadError::Recordings)
}

/// The texts of all languages that have a folder.
pub fn read_catalogue(prompts: &Path) -> Result<Catalogue, LoadError> {
    let mut catalogue = Catalogue::default();
    let mut problems = Vec::new();
    for language in Language::ALL {
        let path = prompts.join(language.code()).join("catalogue.tsv");
        match std::fs::read_to_string(&path) {
            Ok(tsv) => {
                let rows = catalogue.add_tsv(language, &tsv).err().unwrap_or_default();
                problems.extend(rows.iter().map(|row| format!("{}: {row}", path.display())));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    if problems.is_empty() { Ok(catalogue) } else { Err(LoadError::Catalogue(problems)) }
}

/// The `.kdl` files of a folder, by name; folders in it are not looked into.
pub fn read_sources(folder: &Path) -> Result<Vec<Source>, LoadError> {
    let wrong = |path: &Path, why: String| LoadError::Folder { folder: path.to_owned(), why };
    let listing = std::fs::read_dir(folder)
        .map_err(|error| wrong(folder, format!("can't read the folder of dialplans: {error}")))?;
    let mut paths: Vec<PathBuf> = listing
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "kdl") && path.is_file())
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(wrong(folder, "there is no dialplan (*.kdl) in this folder".to_owned()));
    }
    let mut sources = Vec::new();
    let mut findings = Vec::new();
    for path in paths {
        let bytes = std::fs::read(&path)
            .map_err(|error| wrong(&path, format!("can't be read: {error}")))?;
        let name = path.display().to_string();
        match String::from_utf8(bytes) {
            Ok(text) => sources.push(Source { name, text }),
            Err(error) => findings.push(not_utf8(name, &error)),
        }
    }
    if findings.is_empty() { Ok(sources) } else { Err(LoadError::Plan(findings)) }
}

/// Where a file stops being UTF-8.
fn not_utf8(file: String, error: &std::string::FromUtf8Error) -> Finding {
    let bytes = error.as_bytes();
    let valid = String::from_utf8_lossy(&bytes[..error.utf8_error().valid_up_to()]);
    let before = valid.rsplit('\n').next().unwrap_or_default();
    Finding {
        severity: Severity::Error,
        file,
        line: valid.matches('\n').count() + 1,
        column: before.chars().count() + 1,
        source_line: String::new(),
        width: 1,
        message: "this is not UTF-8".to_owned(),
        hint: Some("save the file as UTF-8, not as Windows-1251 or UTF-16".to_owned()),
    }
}
