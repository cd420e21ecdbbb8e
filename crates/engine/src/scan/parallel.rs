//! Many pieces of work on a few threads that end with the call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::Group;
use crate::error::EngineError;
use crate::task::Task;

/// [`for_each`] over row groups.
///
/// # Errors
/// As [`for_each`].
pub(crate) fn for_each_group<T: Send>(
    groups: &[Group],
    task: &Task,
    work: impl Fn(&Group) -> Result<T, EngineError> + Sync,
) -> Result<Vec<T>, EngineError> {
    for_each(groups.len(), task, |index| work(&groups[index]))
}

/// Does the pieces `0..count` on the threads of the task, each thread taking the next one that is left. Results come in
/// the order of the pieces.
///
/// # Errors
/// Of all failures the one of the first piece; no further piece is begun after a failure, or when the task shall stop.
pub(crate) fn for_each<T: Send>(
    count: usize,
    task: &Task,
    work: impl Fn(usize) -> Result<T, EngineError> + Sync,
) -> Result<Vec<T>, EngineError> {
    let threads = task.threads.min(count);
    if threads <= 1 {
        return (0..count).map(|index| task.check().and_then(|()| work(index))).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<T, EngineError>>>> = (0..count).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        return;
                    }
                    let result = task.check().and_then(|()| work(index));
                    if result.is_err() {
                        next.store(count, Ordering::Relaxed);
                    }
                    *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    let results = results.into_iter().map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner));
    // Pieces are begun in order, so a failure stands before every piece that was left out.
    results.map_while(|result| result).collect()
}
