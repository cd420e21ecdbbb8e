//! One suite for every place of blobs. S3 takes part when `BELVEDERE_TEST_S3_ENDPOINT` names a server (`ci/s3.sh`).

#![expect(clippy::unwrap_used, reason = "a test may")]

mod away;
mod bed;
mod distant;
mod everywhere;

/// The one list of tests, each of which runs in each place.
macro_rules! suite {
    ($($module:ident: $($name:ident)*;)*) => {
        suite!(folder; $($module: $($name)*;)*);
        suite!(memory; $($module: $($name)*;)*);
        suite!(s3; $($module: $($name)*;)*);
    };
    ($place:ident; $($module:ident: $($name:ident)*;)*) => {
        mod $place {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(bed) = crate::bed::Bed::$place() else { return };
                    crate::$module::$name(&bed).await;
                    bed.close().await;
                }
            )* })*
        }
    };
}

suite! {
    everywhere:
        puts_reads_ranges_and_deletes
        takes_files_and_leaves_nothing_behind
        a_large_file_arrives_whole
        linked_blobs_live_on_their_own
        groups_are_second_segments
        prefixes_end_at_segments
        keys_cannot_leave_the_place
        a_fetched_blob_is_a_file
        many_writers_of_one_blob_leave_one_of_theirs
        streams_are_cut_as_asked
        what_is_written_meanwhile_is_not_deleted;
    distant:
        ranges_are_read_as_they_were_written
        a_blob_that_was_replaced_is_noticed
        a_gone_blob_is_noticed
        the_cache_stays_within_its_bound
        what_was_stored_here_is_read_here
        what_does_not_fit_is_refused
        links_are_good_for_a_while;
}
