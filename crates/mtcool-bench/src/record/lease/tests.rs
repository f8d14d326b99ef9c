//! One holder at a time, whatever happens to holders, machines and clocks.

use std::time::Instant;

use super::*;

/// Short times; a living holder renews its lease long before the limit.
const SHORT: Terms =
    Terms { interval: Duration::from_millis(50), limit: Duration::from_secs(2), watch: Duration::from_millis(800) };
/// A holder that is stopped: it renews nothing by itself.
const STOPPED: Terms = Terms { interval: Duration::from_secs(3600), ..SHORT };

fn on(host: &str) -> Holder {
    Holder { host: host.into(), ..Holder::of_process() }
}

fn take(folder: &Path, host: &str, terms: Terms) -> Option<Lease> {
    Lease::take(folder, on(host), terms).unwrap()
}

fn newest(folder: &Path) -> PathBuf {
    let number = Generation::newest(folder).unwrap().unwrap().number;
    folder.join(number.to_string())
}

/// Lets the newest generation have been written `age` ago, or in the future.
fn date(folder: &Path, age: Duration, is_past: bool) {
    let now = SystemTime::now();
    let time = if is_past { now - age } else { now + age };
    // A living holder may replace the file between the two steps.
    while File::options().write(true).open(newest(folder)).and_then(|file| file.set_modified(time)).is_err() {}
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_living_holder_keeps_its_lease_from_other_machines_and_gives_it_back() {
    let place = tempfile::tempdir().unwrap();
    let folder = &place.path().join("lease");
    let held = take(folder, "a", SHORT).unwrap();
    let start = Instant::now();
    while start.elapsed() < SHORT.limit.mul_f64(1.3) {
        assert!(take(folder, "a", SHORT).is_none(), "its neighbours see its lock");
        assert!(take(folder, "b", SHORT).is_none(), "others see that it is young");
        assert!(Lease::is_held(folder, on("b"), SHORT).unwrap());
        std::thread::sleep(SHORT.watch / 2);
    }
    held.confirm().unwrap();
    drop(held);
    assert!(!Lease::is_held(folder, on("b"), SHORT).unwrap());
    let next = take(folder, "b", SHORT).expect("given back, so others need not wait");
    next.confirm().unwrap();
    drop(next);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "older generations are removed");
}

#[test]
fn a_neighbour_that_is_gone_leaves_its_lease_at_once_and_another_machine_after_the_limit() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    // What a process leaves that was killed: a file without a lock.
    let killed = Holder { process: 4_000_000, is_locked: true, ..on("a") }.on_volume_of(folder);
    std::fs::write(folder.join("7"), serde_json::to_vec(&killed).unwrap()).unwrap();
    let start = Instant::now();
    assert!(take(folder, "b", SHORT).is_none(), "it may live as far as another machine can tell");
    drop(take(folder, "a", SHORT).expect("the kernel says that it is gone"));
    assert!(start.elapsed() < SHORT.watch, "{:?}", start.elapsed());

    std::fs::write(folder.join("20"), serde_json::to_vec(&killed).unwrap()).unwrap();
    date(folder, HOUR, true);
    assert!(!Lease::is_held(folder, on("b"), SHORT).unwrap());
    take(folder, "b", SHORT).expect("too old").confirm().unwrap();

    // Without locks of the file system, or where it is mounted elsewhere, neighbours go by the age as well; nor is an unreadable
    // file a free lease.
    let unlocked = Holder { is_locked: false, ..killed.clone() };
    let elsewhere = Holder { volume: killed.volume + 1, ..killed };
    for content in [serde_json::to_vec(&unlocked).unwrap(), serde_json::to_vec(&elsewhere).unwrap(), b"{".to_vec()] {
        let number = Generation::newest(folder).unwrap().unwrap().number + 1;
        std::fs::write(folder.join(number.to_string()), content).unwrap();
        assert!(take(folder, "a", SHORT).is_none());
        date(folder, HOUR, true);
        assert!(take(folder, "a", SHORT).is_some());
    }
}

#[test]
fn a_holder_that_returns_after_it_was_given_up_notices_before_it_writes() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let stopped = take(folder, "a", STOPPED).unwrap();
    date(folder, HOUR, true);
    let next = take(folder, "b", SHORT).expect("the holder seems to be gone");
    stopped.check().unwrap();
    let error = stopped.confirm().unwrap_err();
    assert!(error.is::<TakenOver>() && stopped.check().is_err(), "{error:#}");
    let message = error.to_string();
    assert!(message.contains(&format!("process {} on b", std::process::id())), "{message}");
    drop(stopped);
    next.confirm().expect("the old holder gives nothing back");
    assert!(take(folder, "c", SHORT).is_none());

    // The same if the new holder is done already and older files are gone.
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let stopped = take(folder, "a", STOPPED).unwrap();
    date(folder, HOUR, true);
    let next = take(folder, "b", SHORT).unwrap();
    (0..5).for_each(|_| next.confirm().unwrap());
    drop(next);
    assert!(stopped.confirm().unwrap_err().is::<TakenOver>());
}

#[test]
fn a_clock_that_jumps_takes_no_lease_from_a_living_holder_and_keeps_none_for_a_dead_one() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    for is_past in [true, false] {
        let held = take(folder, "a", SHORT).unwrap();
        date(folder, 24 * HOUR, is_past);
        assert!(take(folder, "b", SHORT).is_none());
        held.confirm().unwrap();
        drop(held);
        let number = Generation::newest(folder).unwrap().unwrap().number + 1;
        std::fs::write(folder.join(number.to_string()), serde_json::to_vec(&on("a")).unwrap()).unwrap();
        date(folder, 24 * HOUR, is_past);
        assert!(take(folder, "b", SHORT).is_some());
    }
}

#[test]
fn one_of_many_takes_the_lease_of_a_dead_holder() {
    let place = tempfile::tempdir().unwrap();
    let terms = Terms { watch: Duration::from_millis(1), ..SHORT };
    for round in 0..20 {
        let folder = &place.path().join(round.to_string());
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("3"), serde_json::to_vec(&on("dead")).unwrap()).unwrap();
        date(folder, HOUR, true);
        let hosts = ["a", "b", "c", "d", "e", "f"];
        let held: Vec<Lease> = std::thread::scope(|scope| {
            let workers = hosts.map(|host| scope.spawn(move || take(folder, host, terms)));
            workers.into_iter().filter_map(|worker| worker.join().unwrap()).collect()
        });
        let confirmed = held.iter().filter(|lease| lease.confirm().is_ok()).count();
        assert_eq!((held.len(), confirmed), (1, 1), "round {round}");
    }
}
