//! Numbers that nobody can guess or repeat: ids of tasks, names of temporary folders, marks around answers of commands.

use belvedere_domain::task::TaskId;

/// An id for a task made at this moment, in microseconds since 1970.
pub fn new_task_id(now_microseconds: i64) -> TaskId {
    TaskId::new(now_microseconds, rand::random())
}

/// So many ids for tasks made at this moment, in their order.
pub fn new_task_ids(now_microseconds: i64, count: usize) -> Vec<TaskId> {
    let mut ids: Vec<TaskId> = (0..count).map(|_| new_task_id(now_microseconds)).collect();
    ids.sort_unstable();
    ids
}

/// 16 hexadecimal digits.
pub(crate) fn nonce() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}
