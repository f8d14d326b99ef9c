//! Fetching HRF-AV from a local server: whole, interrupted, resumed, refused, and with wrong content.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod hrf_av_set;
mod server;

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hrf_av_set::{SMALL, class, path, write, write_vessels};
use mtcool_data::hrf_av::{Class, FetchConfig, Fetched, Role, fetch, verify};
use mtcool_data::{DownloadProgress, Error, Result};
use server::{Act, Server};
use sha2::{Digest, Sha256};

const ARCHIVE: &str = "/fundus/all.zip";

/// A published set as a server holds it.
struct Published {
    folder: tempfile::TempDir,
    archive: Vec<u8>,
    served: BTreeMap<String, Vec<u8>>,
    checksums: BTreeMap<PathBuf, String>,
}

impl Published {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        for id in SMALL.photographs() {
            write_vessels(folder.path(), id, |x, y| class(id, x, y) != Class::Background);
        }
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        let (mut served, mut checksums) = (BTreeMap::new(), BTreeMap::new());
        zip.start_file("readme.txt", options).unwrap();
        for id in SMALL.photographs() {
            for role in Role::ALL {
                let path = role.path(id);
                let bytes = std::fs::read(folder.path().join(&path)).unwrap();
                if role != Role::Vessels {
                    let hash = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                    checksums.insert(path.clone(), hash);
                }
                if role == Role::Labels {
                    served.insert(format!("/labels/{}", path.file_name().unwrap().to_str().unwrap()), bytes);
                } else {
                    zip.start_file(path.to_str().unwrap(), options).unwrap();
                    zip.write_all(&bytes).unwrap();
                }
            }
        }
        let archive = zip.finish().unwrap().into_inner();
        served.insert(ARCHIVE.into(), archive.clone());
        Self { folder, archive, served, checksums }
    }

    fn serve(&self, act: impl Fn(usize, &str) -> Act + Send + 'static) -> Server {
        Server::start(self.served.clone(), act)
    }

    fn config(&self, server: &Server) -> FetchConfig {
        FetchConfig {
            archive: server.url(ARCHIVE),
            labels: server.url("/labels/"),
            checksums: self.checksums.clone(),
            attempts: 2,
            pause: Duration::ZERO,
        }
    }

    fn fetch(&self, server: &Server, folder: &Path) -> Result<Fetched> {
        fetch(folder, &self.config(server), &mut |_| {})
    }

    /// Whether `folder` holds the same files and nothing else.
    fn assert_fetched(&self, folder: &Path) {
        for id in SMALL.photographs() {
            for role in Role::ALL {
                let file = role.path(id);
                let [got, want] = [folder, self.folder.path()].map(|folder| std::fs::read(folder.join(&file)).unwrap());
                assert!(got == want, "{} is another file", file.display());
            }
        }
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 4, "something was left behind");
        assert_eq!(verify(folder, SMALL).unwrap().intact, 9);
    }
}

#[test]
fn a_set_is_fetched_once_with_progress_and_only_checked_after_that() {
    let (published, folder) = (Published::new(), tempfile::tempdir().unwrap());
    let server = published.serve(|_, _| Act::Serve);
    let mut seen: Vec<(String, u64, Option<u64>)> = Vec::new();
    let mut watch =
        |progress: DownloadProgress<'_>| seen.push((progress.file.to_owned(), progress.done, progress.total));
    let fetched = fetch(folder.path(), &published.config(&server), &mut watch).unwrap();
    assert_eq!(fetched, Fetched { kept: 0, brought: 27 });
    published.assert_fetched(folder.path());
    let size = published.archive.len() as u64;
    assert_eq!(seen[0], ("all.zip".to_owned(), 0, Some(size)));
    assert!(seen.contains(&("all.zip".to_owned(), size, Some(size))));
    let label = seen.iter().filter(|(file, ..)| file == "02_g_AVmanual.png");
    assert_eq!(label.max_by_key(|(_, done, _)| *done).map(|(_, done, total)| Some(*done) == *total), Some(true));
    assert_eq!(server.requests().len(), 10, "one archive, nine labels");
    assert_eq!(published.fetch(&server, folder.path()).unwrap(), Fetched { kept: 27, brought: 0 });
    assert_eq!(server.requests().len(), 10);
}

#[test]
fn only_what_is_missing_is_brought() {
    let (published, folder) = (Published::new(), tempfile::tempdir().unwrap());
    write(folder.path());
    for id in SMALL.photographs() {
        write_vessels(folder.path(), id, |x, y| class(id, x, y) != Class::Background);
    }
    std::fs::remove_file(path(folder.path(), Role::Labels, "02_h")).unwrap();
    let server = published.serve(|_, _| Act::Serve);
    assert_eq!(published.fetch(&server, folder.path()).unwrap(), Fetched { kept: 26, brought: 1 });
    assert_eq!(server.requests(), [("/labels/02_h_AVmanual.png".to_owned(), None)]);
    published.assert_fetched(folder.path());
}

#[test]
fn an_interrupted_download_goes_on_where_it_ended() {
    let (published, folder) = (Published::new(), tempfile::tempdir().unwrap());
    // The connection breaks several times within one call: each attempt asks for the rest.
    let server =
        published.serve(|number, path| if path == ARCHIVE && number < 5 { Act::CutAfter(1000) } else { Act::Serve });
    published.fetch(&server, folder.path()).unwrap();
    published.assert_fetched(folder.path());
    let firsts: Vec<_> =
        server.requests().iter().filter(|(path, _)| path == ARCHIVE).map(|(_, first)| *first).collect();
    assert_eq!(firsts, [None, Some(1000), Some(2000), Some(3000), Some(4000), Some(5000)]);

    // The download fails, and a later call continues it.
    let folder = tempfile::tempdir().unwrap();
    let server = published.serve(|number, _| if number == 0 { Act::CutAfter(1500) } else { Act::Status(503) });
    let message = published.fetch(&server, folder.path()).unwrap_err().to_string();
    for part in ["all.zip", "503", "2 attempts", "1500 bytes are kept", "by hand"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    let server = published.serve(|_, _| Act::Serve);
    published.fetch(&server, folder.path()).unwrap();
    published.assert_fetched(folder.path());
    assert_eq!(server.requests()[0], (ARCHIVE.to_owned(), Some(1500)));
}

#[test]
fn a_whole_download_that_was_not_yet_unpacked_is_not_downloaded_again() {
    let (published, folder) = (Published::new(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(folder.path().join(".unfinished")).unwrap();
    std::fs::write(folder.path().join(".unfinished/archive.zip"), &published.archive).unwrap();
    let server = published.serve(|_, _| Act::Serve);
    published.fetch(&server, folder.path()).unwrap();
    published.assert_fetched(folder.path());
    assert_eq!(
        server.requests()[..2],
        [(ARCHIVE.to_owned(), Some(published.archive.len())), ("/labels/01_dr_AVmanual.png".to_owned(), None)]
    );
}

#[test]
fn a_server_that_knows_no_parts_or_sends_other_ones_is_put_up_with() {
    let published = Published::new();
    for act in [Act::IgnoreRange, Act::WrongPart] {
        let folder = tempfile::tempdir().unwrap();
        let server = published.serve(move |number, _| match number {
            0 => Act::CutAfter(1000),
            1 => act,
            _ => Act::Serve,
        });
        published.fetch(&server, folder.path()).unwrap();
        published.assert_fetched(folder.path());
    }
}

#[test]
fn a_beginning_of_another_file_is_noticed_and_thrown_away() {
    let published = Published::new();
    for wrong in [vec![7; 1000], vec![7; 1 << 20]] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(".unfinished")).unwrap();
        std::fs::write(folder.path().join(".unfinished/archive.zip"), &wrong).unwrap();
        std::fs::write(folder.path().join(".unfinished/01_g_AVmanual.png"), &wrong[..30]).unwrap();
        let server = published.serve(|_, _| Act::Serve);
        published.fetch(&server, folder.path()).unwrap();
        published.assert_fetched(folder.path());
    }
}

#[test]
fn content_that_is_not_the_published_one_is_refused_and_not_kept() {
    let mut published = Published::new();
    published.served.get_mut("/labels/03_g_AVmanual.png").unwrap()[50] ^= 1;
    let (server, folder) = (published.serve(|_, _| Act::Serve), tempfile::tempdir().unwrap());
    match published.fetch(&server, folder.path()).unwrap_err() {
        Error::Corrupt { file, expected, got, .. } => {
            assert!(file.ends_with("HRF_AV_GT/03_g_AVmanual.png"));
            assert!(expected.starts_with("SHA-256 ") && got.len() == 64 && !expected.contains(&got));
        }
        other => panic!("{other}"),
    }
    assert!(!path(folder.path(), Role::Labels, "03_g").exists());
    // An archive with wrong content, one without a required file, and a file that is not an archive.
    let (name, hash) = published.checksums.pop_first().unwrap();
    published.checksums.insert("images/99_dr.JPG".into(), hash);
    let message = published.fetch(&server, &folder.path().join("b")).unwrap_err().to_string();
    assert!(message.contains("one without 1 files, such as `images/99_dr.JPG`"), "{message}");
    published.checksums.remove(Path::new("images/99_dr.JPG"));
    published.checksums.insert("mask/01_g_mask.tif".into(), "0".repeat(64));
    let message = published.fetch(&server, &folder.path().join("c")).unwrap_err().to_string();
    assert!(message.contains("01_g_mask.tif") && message.contains(&"0".repeat(64)), "{message}");
    published.served.insert(ARCHIVE.into(), b"<html>moved</html>".to_vec());
    let server = published.serve(|_, _| Act::Serve);
    let message = published.fetch(&server, &folder.path().join("d")).unwrap_err().to_string();
    assert!(message.contains("a ZIP archive"), "{message}");
    assert!(name.starts_with("HRF_AV_GT"));
}

#[test]
fn files_of_somebody_else_are_left_as_they_are() {
    let (published, folder) = (Published::new(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(folder.path().join("images")).unwrap();
    let own = path(folder.path(), Role::Image, "01_dr");
    std::fs::write(&own, b"mine").unwrap();
    let server = published.serve(|_, _| Act::Serve);
    let message = published.fetch(&server, folder.path()).unwrap_err().to_string();
    assert!(message.contains("01_dr.JPG") && message.contains("another folder"), "{message}");
    assert_eq!((std::fs::read(&own).unwrap(), server.requests().len()), (b"mine".to_vec(), 0));
}

#[test]
fn a_refusal_is_final_and_says_where_the_files_belong() {
    let (published, folder) = (Published::new(), tempfile::tempdir().unwrap());
    let server = published.serve(|_, _| Act::Status(404));
    let message = published.fetch(&server, folder.path()).unwrap_err().to_string();
    for part in ["HRF-AV", "404", folder.path().to_str().unwrap(), "by hand", "--data synth"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    assert_eq!(server.requests().len(), 1, "asked again in vain");
    let nowhere = FetchConfig { archive: "no address".into(), ..published.config(&server) };
    assert!(fetch(folder.path(), &nowhere, &mut |_| {}).unwrap_err().to_string().contains("no address"));
    // There is no server at this address.
    let gone = FetchConfig { archive: "http://127.0.0.1:9/all.zip".into(), ..published.config(&server) };
    let message = fetch(folder.path(), &gone, &mut |_| {}).unwrap_err().to_string();
    assert!(message.contains("127.0.0.1:9") && message.contains("refused"), "{message}");
}

#[test]
fn the_published_set_is_what_is_fetched_by_default() {
    let config = FetchConfig::default();
    assert_eq!(config.checksums.len(), 135);
    assert!(config.archive.ends_with("all.zip") && config.labels.ends_with("HRF_AV_GT"));
}
