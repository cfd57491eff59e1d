//! Work shared by threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Calls `work` with 0, 1, ..., n - 1 on several threads, and returns the results in order.
pub(crate) fn in_parallel<T: Send>(
    n: usize,
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<Option<T>>> = Mutex::new((0..n).map(|_| None).collect());
    let take = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= n {
                return;
            }
            let result = work(i);
            done.lock().expect("no thread panics while it holds the lock")[i] = Some(result);
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(n) {
            scope.spawn(take);
        }
        take();
    });
    let done = done.into_inner().expect("no thread panics while it holds the lock");
    done.into_iter().map(|result| result.expect("every number was taken")).collect()
}
