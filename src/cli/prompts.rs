//! `allo prompts missing` and `allo prompts render`: what callers can't hear yet, and speaking it
//! with a program such as Festival's `text2wave`.
//!
//! - [`wanted`]: what dialplans say
//! - `wav`: whatever a program writes, as a recording

pub mod wanted;
mod wav;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use uuid::Uuid;

pub use self::wanted::Wanted;
use super::screen::screen;
use crate::app::plans;
use crate::config::Config;
use crate::domain::{Language, RecordingId};
use crate::speech::Catalogue;

#[derive(Debug, Subcommand)]
pub enum PromptsCommand {
    /// List recordings without a text, texts without a recording, and what the dialplans say that
    /// nobody has spoken yet. Exit code 1 if something is missing.
    Missing(PromptsArgs),
    /// Speak what is missing with the programs of [prompts.render].
    Render(PromptsArgs),
}

#[derive(Debug, Args)]
pub struct PromptsArgs {
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Looks for what callers can't hear, and speaks it if asked to.
pub async fn run(config: &Config, command: PromptsCommand) -> anyhow::Result<ExitCode> {
    let folder = &config.prompts.folder;
    let catalogue = plans::read_catalogue(folder)?;
    let mut wanted = Wanted::default();
    for source in plans::read_sources(&config.dialplans.folder)? {
        let name = &source.name;
        wanted.add_plan(&source.text).map_err(|why| anyhow::anyhow!("{name}: {why}"))?;
    }
    let mut gaps = missing(folder, &catalogue, &wanted)?;
    let args = match command {
        PromptsCommand::Missing(args) => args,
        PromptsCommand::Render(args) => {
            gaps = render_all(config, gaps).await;
            args
        }
    };
    let mut out = screen();
    if args.json {
        writeln!(out, "{:#}", serde_json::json!({ "missing": gaps }))?;
    } else if gaps.is_empty() {
        writeln!(out, "nothing is missing")?;
    } else {
        for gap in &gaps {
            writeln!(out, "{gap}")?;
        }
    }
    Ok(if gaps.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Renders what can be rendered; what is left over is returned.
async fn render_all(config: &Config, gaps: Vec<Gap>) -> Vec<Gap> {
    let mut left = Vec::new();
    for gap in gaps {
        let command = config.prompts.render.command(gap.language);
        let rendered = match command {
            _ if !gap.can_be_rendered() => Err(anyhow::anyhow!("there is no text to speak")),
            None => Err(anyhow::anyhow!("[prompts.render] names no program for {}", gap.language)),
            Some(command) => render(&config.prompts.folder, &gap, command).await,
        };
        match rendered {
            Ok(ms) => eprintln!("{}/{}: {ms} ms", gap.language, gap.id),
            Err(error) => {
                eprintln!("{}/{}: {error:#}", gap.language, gap.id);
                left.push(gap);
            }
        }
    }
    left
}

/// A recording that can't be heard, or can't be named by its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Gap {
    pub language: Language,
    pub id: RecordingId,
    /// What is to be spoken, where that is known.
    pub text: Option<String>,
    pub kind: GapKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// A row of the catalogue without a WAV file.
    NoFile,
    /// A WAV file without a row in the catalogue.
    NoText,
    /// A text of a dialplan that no recording says; the id is our proposal.
    NewText,
    /// A dialplan names it, or a value needs it, and there is neither row nor file.
    Unknown,
}

/// `ru/phrase/greeting: no WAV file; text: …`
impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            GapKind::NoFile => "in the catalogue, but there is no WAV file",
            GapKind::NoText => "there is a WAV file, but no text in the catalogue",
            GapKind::NewText => "said by a dialplan, never recorded",
            GapKind::Unknown => "a dialplan wants it, and nobody knows its text",
        };
        write!(f, "{}/{}: {what}", self.language, self.id)?;
        match &self.text {
            Some(text) => write!(f, "; text: {text}"),
            None => Ok(()),
        }
    }
}

impl Gap {
    /// Whether [`render`] can fill it.
    pub fn can_be_rendered(&self) -> bool {
        match self.kind {
            GapKind::NoFile | GapKind::NewText => self.text.is_some(),
            GapKind::NoText | GapKind::Unknown => false,
        }
    }
}

/// Compares the catalogue (as read, with nothing taken out), the WAV files below `prompts` and what
/// plans want. Ordered by language and id.
///
/// # Errors
/// A folder that can't be read.
pub fn missing(prompts: &Path, catalogue: &Catalogue, wanted: &Wanted) -> anyhow::Result<Vec<Gap>> {
    let mut gaps = Vec::new();
    for language in Language::ALL {
        let files = wav_files(&prompts.join(language.code()))?;
        let text = |id: &RecordingId| catalogue.text(language, id).map(str::to_owned);
        let mut gap = |id: &RecordingId, text: Option<String>, kind| {
            gaps.push(Gap { language, id: id.clone(), text, kind });
        };
        for id in catalogue.ids(language).filter(|id| !files.contains(id)) {
            gap(id, text(id), GapKind::NoFile);
        }
        for id in files.iter().filter(|id| !catalogue.contains(language, id)) {
            gap(id, None, GapKind::NoText);
        }
        for id in wanted.recordings(language) {
            if !catalogue.contains(language, id) && !files.contains(id) {
                gap(id, None, GapKind::Unknown);
            }
        }
        let mut taken: BTreeSet<RecordingId> = catalogue.ids(language).cloned().collect();
        taken.extend(files);
        for text in wanted.texts(language) {
            if catalogue.find_text(language, text).is_none() {
                let id = wanted::id_for(text, &taken);
                gap(&id, Some(text.to_owned()), GapKind::NewText);
                taken.insert(id);
            }
        }
    }
    gaps.sort_by(|a, b| (a.language, &a.id, a.kind).cmp(&(b.language, &b.id, b.kind)));
    Ok(gaps)
}

/// Folders within folders below a language at most.
const DEPTH_MAX: usize = 8;

/// The ids of all WAV files below a language's folder; none if there is no such folder.
fn wav_files(root: &Path) -> anyhow::Result<BTreeSet<RecordingId>> {
    let mut ids = BTreeSet::new();
    let mut folders = vec![(root.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        if depth == 0 && !folder.exists() {
            break;
        }
        let listing =
            fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))?;
        for entry in listing {
            let entry = entry.with_context(|| format!("can't read {}", folder.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            if entry.path().is_dir() {
                if depth < DEPTH_MAX {
                    folders.push((entry.path(), format!("{prefix}{name}/"), depth + 1));
                }
            } else if let Some(stem) = name.strip_suffix(".wav") {
                ids.insert(RecordingId::new(format!("{prefix}{stem}")));
            }
        }
    }
    Ok(ids)
}

/// How long a program may take to speak one text.
const RENDER_MAX: Duration = Duration::from_secs(60);

/// Speaks one gap: writes its WAV file and, for a new text, its row of the catalogue. Returns the
/// length of the recording in milliseconds.
///
/// `command` is the program and its arguments; `{file}` in them is the WAV file that it must write.
/// It reads the text (UTF-8, one line) from its standard input; no shell is involved. A file of
/// another rate or with two channels is converted. Nothing that is already there is touched.
///
/// # Errors
/// In one line: what the program said, or what is wrong with its file.
pub async fn render(prompts: &Path, gap: &Gap, command: &[String]) -> anyhow::Result<u64> {
    let Some(text) = gap.text.as_deref().filter(|_| gap.can_be_rendered()) else {
        bail!("{}: there is no text to be spoken", gap.id);
    };
    let folder = prompts.join(gap.language.code());
    let target = folder.join(format!("{}.wav", gap.id));
    ensure!(!target.exists(), "{} is already there", target.display());
    let spoken = Scratch::new();
    speak(command, text, &spoken.0).await?;
    let samples = wav::read(&spoken.0).with_context(|| program_name(command))?;
    wav::write(&target, &samples)?;
    if gap.kind == GapKind::NewText {
        add_row(&folder.join("catalogue.tsv"), &gap.id, text)?;
    }
    Ok(samples.len() as u64 * 1_000 / u64::from(wav::RATE_HZ))
}

/// A file name of our own in the system's temporary folder; the file goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("allo-{}.wav", Uuid::now_v7())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = fs::remove_file(&self.0);
    }
}

fn program_name(command: &[String]) -> String {
    command.first().cloned().unwrap_or_default()
}

async fn speak(command: &[String], text: &str, file: &Path) -> anyhow::Result<()> {
    let Some((program, arguments)) = command.split_first() else {
        bail!("the command is empty");
    };
    ensure!(
        arguments.iter().any(|argument| argument.contains("{file}")),
        "the command {program} has no argument {{file}} for the WAV file that it is to write"
    );
    let file = file.to_string_lossy();
    let child = Command::new(program)
        .args(arguments.iter().map(|argument| argument.replace("{file}", &file)))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("can't start {program}"))?;
    let talk = tokio::time::timeout(RENDER_MAX, talk(child, text));
    let Ok(talked) = talk.await else {
        bail!("{program} took longer than {} s", RENDER_MAX.as_secs());
    };
    let (success, complaint) = talked.with_context(|| program.clone())?;
    if !success {
        let complaint = complaint.lines().next().unwrap_or("it failed without a word");
        bail!("{program}: {complaint}");
    }
    Ok(())
}

/// Of what a program complains, this many bytes are kept.
const COMPLAINT_BYTES_MAX: u64 = 4_096;

/// Gives the program its text and waits for its end: whether it succeeded, and its complaints.
async fn talk(mut child: Child, text: &str) -> std::io::Result<(bool, String)> {
    let stdin = child.stdin.take();
    let stderr = child.stderr.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read all of its input may still succeed.
            let _ = stdin.write_all(format!("{text}\n").as_bytes()).await;
        }
    };
    let read = async {
        let mut complaint = Vec::new();
        if let Some(mut stderr) = stderr {
            (&mut stderr).take(COMPLAINT_BYTES_MAX).read_to_end(&mut complaint).await?;
            tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
        }
        std::io::Result::Ok(String::from_utf8_lossy(&complaint).into_owned())
    };
    let ((), complaint, status) = tokio::join!(write, read, child.wait());
    Ok((status?.success(), complaint?))
}

/// Adds a row at the end of a catalogue, or starts one. All or nothing.
fn add_row(catalogue: &Path, id: &RecordingId, text: &str) -> anyhow::Result<()> {
    let mut tsv = match fs::read_to_string(catalogue) {
        Ok(tsv) => tsv,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "id\ttext\n".to_owned(),
        Err(error) => {
            return Err(error).with_context(|| format!("can't read {}", catalogue.display()));
        }
    };
    if !tsv.ends_with('\n') {
        tsv.push('\n');
    }
    let text: Vec<&str> = text.split_whitespace().collect();
    tsv.push_str(&format!("{id}\t{}\n", text.join(" ")));
    replace(catalogue, tsv.as_bytes())
}

/// Writes a file so that readers find the old or the new one, never half of it. Folders are made.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let unfinished = folder.join(format!(".allo-{}.tmp", Uuid::now_v7()));
        let written = fs::File::create_new(&unfinished)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&unfinished, path));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        written
    };
    write().with_context(|| format!("can't write {}", path.display()))
}

#[cfg(test)]
mod tests;
