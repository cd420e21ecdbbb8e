-- Small files of tasks are stored with them; `content` is null where the file lies in the folder of its task.
ALTER TABLE task_file ADD COLUMN content BLOB;
