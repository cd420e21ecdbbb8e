//! The one table of error codes: public name, HTTP status, whether the cause is shown, how often a failure is retried.
//!
//! To add a code, add a row. Codes that storage may still hold from older versions are accepted as plain text
//! when read (see [`Outcome`](crate::Outcome)).

use std::fmt;

macro_rules! error_codes {
    ($($code:ident $status:literal $discloses:literal $retries:literal $meaning:literal)*) => {
        /// A public error code, as sent in `X-Error-Code`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $code,)*
        }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// The name that clients see.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)* }
            }

            /// The HTTP status that goes with it.
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$code => $status,)* }
            }

            /// Whether the cause is part of the public answer.
            pub const fn discloses_cause(self) -> bool {
                match self { $(Self::$code => $discloses,)* }
            }

            /// How many stored failures of one revision are tried again by a backfill; 0: never.
            pub const fn max_failed_runs(self) -> u32 {
                match self { $(Self::$code => $retries,)* }
            }

            /// One sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning,)* }
            }
        }
    };
}

error_codes! {
    // Stored by steps. Code, status, discloses its cause, retries, meaning.
    CacheDirectoryNotInitializedError           501 true   0 "The scratch directory of a step was not prepared."
    ComputationError                            500 true   0 "Statistics could not be computed."
    ConfigNamesError                            500 true   0 "The configs could not be listed."
    ConfigNotFoundError                         404 false  0 "The config does not exist."
    CreateCommitError                           500 false 30 "The converted files could not be committed."
    DataFilesNotFoundError                      500 false  0 "No supported data file was found."
    DatasetGenerationCastError                  500 true   0 "The files of a split do not share one schema."
    DatasetGenerationError                      500 true   0 "The data could not be converted."
    DatasetInBlockListError                     501 false  0 "The operator blocks this dataset."
    DatasetNotFoundError                        404 false  0 "The dataset is gone. Never stored."
    DatasetWithScriptNotSupportedError          501 true   0 "The dataset needs its own code to load."
    DatasetWithTooComplexDataFilesPatternsError 500 true   0 "No code snippet can be made for its file patterns."
    DatasetWithTooManyConfigsError              501 true   0 "More configs than the limit."
    DatasetWithTooManyParquetFilesError         501 true   0 "More Parquet files than the limit."
    DatasetWithTooManySplitsError               501 true   0 "More splits than the limit."
    DiskError                                   500 false 30 "The local disk is full, or refused."
    DuckDBIndexFileNotFoundError                500 false  0 "The index file is missing after its upload."
    EmptyDatasetError                           500 true   0 "The dataset has no data."
    ExternalServerError                         500 false  3 "An external service did not answer properly."
    FeaturesError                               500 true   0 "The features could not be determined."
    FeaturesResponseEmptyError                  500 true   0 "The previous step found no features."
    FileFormatMismatchBetweenSplitsError        500 false  0 "The splits use different file formats."
    FileSystemError                             500 false  0 "A file could not be read."
    HfHubError                                  500 false 30 "The Hub is unavailable or refuses."
    InfoError                                   500 true   0 "The dataset info could not be determined."
    JobManagerCrashedError                      501 false  3 "The process that ran the step died."
    JobManagerExceededMaximumDurationError      501 false  0 "The step took too long and was killed."
    LockedDatasetTimeoutError                   501 true  30 "The branch stayed locked."
    MissingSpawningTokenError                   500 false  0 "The token of the opt-out service is not set."
    NoSupportedFeaturesError                    501 true   0 "No column has a supported type."
    NormalRowsError                             500 true   0 "The rows could not be read."
    NotSupportedDisabledRepositoryError         501 false  0 "The Hub disabled the repository."
    NotSupportedDisabledViewerError             501 false  0 "The card turns the viewer off."
    NotSupportedPrivateRepositoryError          501 false  0 "Private datasets of this owner are not supported."
    NotSupportedRepositoryNotFoundError         501 false  0 "The repository does not exist."
    NotSupportedTagNFAAError                    501 false  0 "The dataset is not for all audiences."
    ParameterMissingError                       500 false  0 "The job lacks a parameter."
    ParquetResponseEmptyError                   500 false  0 "The split has no Parquet file."
    PolarsParquetReadError                      500 false  0 "The statistics engine could not read the Parquet files."
    PresidioScanNotEnabledForThisDataset        501 false  0 "The scan is not enabled for this dataset."
    PreviousStepFormatError                     500 false  0 "A previous step stored something unexpected."
    PreviousStepStatusError                     500 false  0 "A previous step failed."
    PreviousStepStillProcessingError            500 false 30 "A previous step has not finished yet."
    RetryableConfigNamesError                   500 true   3 "The configs could not be listed for a passing reason."
    RowsPostProcessingError                     500 false  0 "A cell could not be shown."
    SplitNamesFromStreamingError                500 true   0 "The splits could not be listed."
    SplitNotFoundError                          404 false  0 "The split does not exist."
    SplitParquetSchemaMismatchError             422 false  0 "The Parquet files of a split differ in columns."
    SplitsNamesError                            500 true   0 "The splits could not be listed."
    SplitWithTooBigParquetError                 500 false  0 "The Parquet files of the split exceed the limit."
    StreamingRowsError                          500 true   3 "The rows could not be read from the source."
    TooBigContentError                          501 false  0 "The answer exceeds the size limit."
    TooLongColumnNameError                      500 true   0 "A column name is longer than 500 characters."
    TooManyColumnsError                         500 true   0 "More columns than the limit."
    UnexpectedError                             500 false  0 "Something else went wrong."
    // Made by the API.
    AlreadyExists                               409 false  0 "There is one of this name already."
    AuthCheckHubRequestError                    500 false  0 "The Hub could not be asked about access."
    DownloadIndexError                          500 true   0 "The index could not be fetched."
    ExternalAuthenticatedError                  404 false  0 "The dataset does not exist, or these credentials do not give access."
    ExternalUnauthenticatedError                401 false  0 "The dataset does not exist, or needs credentials."
    FeatureNotAvailableError                    501 true   0 "This program was built without this part, or the operator switched it off."
    InvalidParameter                            422 false  0 "A parameter has a bad value."
    JWTExpiredSignature                         401 true   0 "The token has expired."
    JWTInvalidClaimRead                         401 true   0 "The token gives no read permission."
    JWTInvalidClaimSub                          401 true   0 "The token is for another dataset."
    JWTInvalidKeyOrAlgorithm                    401 true   0 "The token uses another key or algorithm."
    JWTInvalidSignature                         401 true   0 "The token is not signed by a known key."
    JWTKeysError                                500 false  0 "The verification keys could not be built."
    JWTMissingRequiredClaim                     401 true   0 "The token lacks a claim."
    LoginRequired                               401 false  0 "A login is needed, or these credentials are not good any more."
    MissingRequiredParameter                    422 false  0 "A required parameter is missing."
    NotPermitted                                403 false  0 "These credentials are not good for that."
    QueryBudgetExceeded                         422 false  0 "The question takes more time, memory or rows than allowed. Narrow it."
    RenamedDatasetError                         404 false  0 "The dataset has another name now."
    ResponseNotFound                            404 false  0 "There is no such answer, and there will be none."
    ResponseNotReady                            500 false  0 "The answer is being prepared. Try again later."
    RevisionGone                                404 false  0 "This revision is no longer kept, or its files have changed."
    SearchFeatureNotAvailableError              400 true   0 "The split has no text to search, or too much of it for a search without an index."
    ServiceUnavailable                          503 false  0 "The database is away. Try again in a moment."
    TaskDatasetNotReady                         503 false  0 "The dataset of the task is still being prepared. Try again in a moment."
    TaskInvalid                                 422 false  0 "The request of a task has a mistake; `errors` says where."
    TaskKeyTaken                                422 false  0 "The idempotency key belongs to another request."
    TaskLimitReached                            429 false  0 "There are too many active tasks. Try again when one has ended."
    TaskNotFound                                404 false  0 "There is no such task, or it is somebody else's."
    TaskStateConflict                           409 false  0 "The task is in a state in which this cannot be done."
    TaskTooLarge                                413 false  0 "The files of a task are larger or more than allowed."
    TooManyAttempts                             429 false  0 "Too many logins failed. Try again later."
    TransformRowsProcessingError                500 true   0 "A row could not be shown."
    UnexpectedApiError                          500 false  0 "Something went wrong in the server."
    UnprocessableIndexError                     500 true   0 "The index is damaged."
}

impl ErrorCode {
    /// The code of a name; `None` for names of other versions.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }

    /// How often a stored failure with this name is tried again. Two names are no longer produced but may be stored.
    pub fn max_failed_runs_of(name: &str) -> u32 {
        match Self::parse(name) {
            Some(code) => code.max_failed_runs(),
            None => u32::from(name == "ConnectionError") * 3,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
