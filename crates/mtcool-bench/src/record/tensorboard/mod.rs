//! Event files for TensorBoard: the rows of `metrics.parquet` as scalars, the configuration, and figures as pictures.
//!
//! A run's file is the exception from the rule that files are written completely or not at all: rows are appended, so that a
//! TensorBoard that is open shows them. No result is read from it, and whatever a killed process has left in it is compared with
//! the rows of the run when that continues.

mod framing;
mod messages;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use anyhow::Result;

use super::files::StorageError;
use super::metrics::Row;
use crate::plan::{RunConfig, StoredSettings};
use crate::protobuf::Message;
use framing::{framed, next};

/// The name of the event file of a run. TensorBoard finds files by `tfevents` in their names.
const RUN_FILE: &str = "events.out.tfevents.run";
/// Bytes in front of the content of an event: the field of its time.
const TIME: usize = 9;

/// The content of an event file that shows one figure.
///
/// # Errors
/// If `png` is no PNG file.
pub fn figure_events(title: &str, png: &[u8]) -> Result<Vec<u8>> {
    let time = now();
    Ok([messages::version(), messages::picture(title, png)?]
        .into_iter()
        .flat_map(|content| framed(&at(time, &content)))
        .collect())
}

/// The event file of a run.
pub(super) struct RunEvents {
    path: PathBuf,
    /// The events in front of the rows.
    head: Vec<Message>,
    /// The number of rows in the file; `None` before the first call.
    rows: Mutex<Option<usize>>,
}

impl RunEvents {
    /// The event file of `run` in its folder.
    ///
    /// # Errors
    /// If a setting cannot be written.
    pub(super) fn new(folder: &Path, run: &RunConfig) -> Result<Self> {
        let toml = run.to_toml()?;
        let settings = StoredSettings::parse(&toml)?;
        let head = vec![messages::version(), messages::configuration(&toml), messages::hyperparameters(&settings)];
        Ok(Self { path: folder.join(RUN_FILE), head, rows: Mutex::new(None) })
    }

    /// Brings the file up to `rows`, all rows of the run so far.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub(super) fn write(&self, rows: &[Row]) -> Result<(), StorageError> {
        let mut known = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| StorageError::new("write", &self.path, error);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(&self.path).map_err(failed)?;
        let missing = match *known {
            Some(count) => {
                file.seek(SeekFrom::End(0)).map_err(failed)?;
                rows.get(count..).unwrap_or_default().iter().map(messages::scalar).collect()
            }
            None => {
                let mut content = Vec::new();
                file.read_to_end(&mut content).map_err(failed)?;
                let all = self.head.iter().cloned().chain(rows.iter().map(messages::scalar)).collect();
                let (end, missing) = continued(&content, all);
                file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end))).map_err(failed)?;
                missing
            }
        };
        let time = now();
        let bytes: Vec<u8> = missing.iter().flat_map(|content| framed(&at(time, content))).collect();
        file.write_all(&bytes).and_then(|()| file.sync_data()).map_err(failed)?;
        *known = Some(rows.len());
        Ok(())
    }
}

/// Up to which byte the event file `content` has `events` in their order, and the events that it lacks.
fn continued(content: &[u8], events: Vec<Message>) -> (u64, Vec<Message>) {
    let mut rest = content;
    let mut events = events.into_iter().peekable();
    while let (Some(event), Some((found, behind))) = (events.peek(), next(rest)) {
        if found.get(TIME..) != Some(event.as_bytes()) {
            break;
        }
        rest = behind;
        events.next();
    }
    ((content.len() - rest.len()) as u64, events.collect())
}

/// An event of this content at `time`, in seconds since 1970.
fn at(time: f64, content: &Message) -> Vec<u8> {
    Message::default().double(1, time).with(content).into_bytes()
}

fn now() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protobuf::reading::{Field, fields};

    fn row(step: u64, metric: &str, value: f64) -> Row {
        Row { step, epoch: 0, split: "train".into(), task: "a".into(), metric: metric.into(), value }
    }

    fn events(folder: &Path) -> RunEvents {
        let head = vec![messages::version()];
        RunEvents { path: folder.join(RUN_FILE), head, rows: Mutex::new(None) }
    }

    /// Step, tag and value of each scalar in the file.
    fn scalars(folder: &Path) -> Vec<(u64, String, f32)> {
        let content = std::fs::read(folder.join(RUN_FILE)).unwrap();
        let (mut rest, mut found) = (&content[..], Vec::new());
        while let Some((event, behind)) = next(rest) {
            let event = fields(event);
            let of = |number: u32| event.iter().find(|(field, _)| *field == number).map(|(_, field)| field.clone());
            if let (Some(Field::Integer(step)), Some(summary)) = (of(2), of(5)) {
                let value = summary.message()[0].1.message();
                let (tag, number) = (String::from_utf8(value[0].1.bytes().to_vec()).unwrap(), value[1].1.clone());
                let Field::Fixed32(number) = number else { panic!("{number:?}") };
                found.push((step, tag, f32::from_le_bytes(number)));
            }
            rest = behind;
        }
        assert!(rest.is_empty(), "{} bytes are no event", rest.len());
        found
    }

    #[test]
    fn rows_are_appended_and_a_run_that_continues_has_no_step_twice() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [row(5, "loss", 1.5), row(10, "loss", 1.25), row(15, "loss", 1.0), row(20, "loss", 0.5)];
        let want: Vec<(u64, String, f32)> =
            rows.iter().map(|row| (row.step, "a/loss/train".into(), row.value as f32)).collect();
        let first = events(folder.path());
        first.write(&rows[..1]).unwrap();
        first.write(&rows[..3]).unwrap();
        assert_eq!(scalars(folder.path()), want[..3]);
        let times = std::fs::read(folder.path().join(RUN_FILE)).unwrap();
        // A killed process wrote three rows and a part of a fourth; the checkpoint has two.
        let mut file = File::options().append(true).open(folder.path().join(RUN_FILE)).unwrap();
        file.write_all(&framed(b"half")[..9]).unwrap();
        let second = events(folder.path());
        second.write(&rows[..2]).unwrap();
        assert_eq!(scalars(folder.path()), want[..2]);
        second.write(&rows).unwrap();
        assert_eq!(scalars(folder.path()), want);
        let later = std::fs::read(folder.path().join(RUN_FILE)).unwrap();
        let common = later.iter().zip(&times).take_while(|(a, b)| a == b).count();
        assert!(common > times.len() / 2, "what is right keeps its time: {common} of {} bytes", times.len());
        // Other rows than the ones that are there.
        let others = [row(5, "loss", 1.5), row(7, "step_loss", 2.0), row(10, "loss", 1.25)];
        events(folder.path()).write(&others).unwrap();
        let found: Vec<u64> = scalars(folder.path()).into_iter().map(|(step, ..)| step).collect();
        assert_eq!(found, [5, 7, 10]);
        // Something else under this name.
        std::fs::write(folder.path().join(RUN_FILE), b"no events").unwrap();
        events(folder.path()).write(&rows).unwrap();
        assert_eq!(scalars(folder.path()), want);
    }
}
