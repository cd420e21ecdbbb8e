//! Conversion: the files of a config, read by their reader, become Parquet files of one schema.
//!
//! Splits in order, files in order, in bounded memory: one thread reads, another fits and writes. What an earlier
//! conversion made of an unchanged file is copied instead ([`segments`]).

mod segments;
mod tables;

use std::collections::HashMap;
use std::ops::ControlFlow;

use belvedere_domain::{Features, SplitName};

use crate::call::{Convert, Converted, ConvertedSplit, Estimate, Segment};
use crate::convert::segments::{Earlier, Recorder, SegmentKeys};
use crate::error::{EngineError, ErrorKind};
use crate::fit::Fitter;
use crate::footers::FooterCache;
use crate::inspect::check_column_names;
use crate::nbytes;
use crate::read::{ConfigReader, Input, ReadLimits};
use crate::source::SourceFile;
use crate::write::{SplitWriter, WriteOptions};

pub(crate) use tables::for_each as for_each_table;

/// Answers [`Call::Convert`](crate::Call::Convert).
///
/// # Errors
/// [`ColumnsMismatch`](ErrorKind::ColumnsMismatch) and [`Incompatible`](ErrorKind::Incompatible) when files do not fit
/// the schema, [`Unreadable`](ErrorKind::Unreadable) and [`Parameter`](ErrorKind::Parameter) from reading,
/// [`Empty`](ErrorKind::Empty) when nothing at all was read, [`TooLongColumnName`](ErrorKind::TooLongColumnName),
/// [`Io`](ErrorKind::Io) when the output cannot be written. Files already written stay in the output directory.
pub(crate) fn convert(call: &Convert, options: WriteOptions, footers: &FooterCache) -> Result<Converted, EngineError> {
    let files: HashMap<&str, &SourceFile> = call.files.iter().map(|file| (file.path.as_str(), file)).collect();
    let reader = ConfigReader::prepared(call.config.clone(), ReadLimits::default(), &call.repository, &files)?;
    let max_row_group_rows =
        reader.row_group_rows().map_or(options.max_row_group_rows, |rows| rows.min(options.max_row_group_rows));
    let mut conversion = Conversion {
        call,
        options: WriteOptions { max_row_group_rows, ..options },
        files,
        fitter: reader.fitter(),
        features: call.config.declared_features.clone().or_else(|| reader.features().cloned()),
        reader,
        keys: SegmentKeys::new(call),
        earlier: Earlier::new(&call.segments, footers),
        any_rows: false,
        segments: Vec::new(),
    };
    let mut splits = Vec::with_capacity(call.config.splits.len());
    // A split before the first table has no schema yet; its empty file is written when there is one.
    let mut waiting = Vec::new();
    for (split, paths) in &call.config.splits {
        let (converted, writer) = conversion.split(split, paths)?;
        match writer {
            Some(writer) => splits.push(conversion.finish(converted, writer)?),
            None => {
                waiting.push(splits.len());
                splits.push(converted);
            }
        }
    }
    // Tables without rows tell a schema only if there is no other.
    let features = conversion.features.take().or_else(|| conversion.fitter.features().cloned());
    let features = features.ok_or_else(|| EngineError::new(ErrorKind::Empty, "the files hold no data"))?;
    check_column_names(&features)?;
    for index in waiting {
        let writer = conversion.writer(&splits[index].split, &features);
        splits[index] = conversion.finish(splits[index].clone(), writer)?;
    }
    let partial = splits.iter().any(|split| call.max_split_bytes.is_some_and(|max| split.num_bytes >= max));
    Ok(Converted { features, splits, partial, segments: conversion.segments })
}

struct Conversion<'a> {
    call: &'a Convert,
    options: WriteOptions,
    files: HashMap<&'a str, &'a SourceFile>,
    reader: ConfigReader,
    fitter: Fitter,
    keys: SegmentKeys,
    earlier: Earlier<'a>,
    /// The schema of the config, once known.
    features: Option<Features>,
    any_rows: bool,
    segments: Vec<Segment>,
}

impl Conversion<'_> {
    /// Reads the files of a split. The writer is `None` as long as no schema is known.
    fn split(
        &mut self,
        split: &SplitName,
        paths: &[String],
    ) -> Result<(ConvertedSplit, Option<SplitWriter>), EngineError> {
        let mut converted = ConvertedSplit {
            split: split.clone(),
            num_bytes: 0,
            num_examples: 0,
            shard_lengths: Vec::new(),
            files: Vec::new(),
            estimate: None,
        };
        let mut writer = None;
        let mut bytes_read = 0;
        for input in self.reader.inputs(paths, &self.files)? {
            if self.is_full(&converted) {
                break;
            }
            bytes_read += match &input {
                Input::File(file) => match self.copy(file, &mut converted, &mut writer)? {
                    true => file.size,
                    false => {
                        let read = self.read(&input, Some(file), &mut converted, &mut writer);
                        read.map_err(|error| error.in_file(&file.path))?
                    }
                },
                Input::Listing(_) => self.read(&input, None, &mut converted, &mut writer)?,
            };
        }
        if self.is_full(&converted) {
            converted.estimate = self.estimate(&converted, paths, bytes_read);
        }
        if writer.is_none() {
            writer = self.features.clone().map(|features| self.writer(split, &features));
        }
        Ok((converted, writer))
    }

    /// Copies what an earlier conversion made of a file, if there is something, the schema is known to be the same and
    /// the limit is not in the way.
    fn copy(
        &mut self,
        file: &SourceFile,
        converted: &mut ConvertedSplit,
        writer: &mut Option<SplitWriter>,
    ) -> Result<bool, EngineError> {
        let Some(found) = self.earlier.find(&self.keys, file, self.features.as_ref(), !self.any_rows) else {
            return Ok(false);
        };
        if self.call.max_split_bytes.is_some_and(|max| converted.num_bytes + found.num_bytes() > max) {
            return Ok(false);
        }
        if self.features.is_none() {
            self.fitter.assume(&found.features);
            self.features = Some(found.features.clone());
        }
        let writer = writer.get_or_insert_with(|| self.writer(&converted.split, &found.features));
        let mut recorder = Recorder::new(found.key.clone());
        for part in &found.parts {
            recorder.push(writer.copy(&part.file, part.footer.metadata(), part.row_groups.clone(), part.num_bytes)?);
            recorder.add(part.num_rows, part.num_bytes);
            converted.num_examples += part.num_rows;
            converted.num_bytes += part.num_bytes;
        }
        recorder.push(writer.end_input()?);
        self.any_rows = true;
        let content_id = self.keys.content_id(file).unwrap_or_default();
        self.segments.extend(recorder.finish(content_id));
        Ok(true)
    }

    /// Converts an input; returns the stored bytes of the file that were read.
    fn read(
        &mut self,
        input: &Input<'_>,
        file: Option<&SourceFile>,
        converted: &mut ConvertedSplit,
        writer: &mut Option<SplitWriter>,
    ) -> Result<u64, EngineError> {
        let stream = self.reader.open_input(input)?;
        let first = !self.any_rows;
        let mut recorder = Recorder::new(String::new());
        let mut complete = true;
        let size = file.map_or(0, |file| file.size);
        let bytes_read = tables::for_each(stream, size, |table| {
            if self.is_full(converted) {
                complete = false;
                return Ok(ControlFlow::Break(()));
            }
            let table = self.fitter.fit(table)?;
            if table.num_rows() == 0 {
                return Ok(ControlFlow::Continue(()));
            }
            if self.features.is_none() {
                self.features = self.fitter.features().cloned();
            }
            let features = self.features.as_ref().ok_or_else(|| EngineError::new(ErrorKind::Internal, "no schema"))?;
            let split_writer = writer.get_or_insert_with(|| self.writer(&converted.split, features));
            let num_bytes = nbytes::of_table(&table);
            let num_rows = table.num_rows() as u64;
            recorder.push(split_writer.write(&table, num_bytes)?);
            recorder.add(num_rows, num_bytes);
            converted.num_bytes += num_bytes;
            converted.num_examples += num_rows;
            self.any_rows = true;
            Ok(ControlFlow::Continue(()))
        })?;
        if let Some(writer) = writer {
            recorder.push(writer.end_input()?);
        }
        if complete
            && let Some(file) = file
            && let Some(key) = self.features.as_ref().and_then(|features| self.keys.of(file, features, first))
        {
            let content_id = self.keys.content_id(file).unwrap_or_default();
            self.segments.extend(recorder.with_key(key).finish(content_id));
        }
        Ok(bytes_read)
    }

    fn writer(&self, split: &SplitName, features: &Features) -> SplitWriter {
        SplitWriter::new(&self.call.output, split.as_str(), features, self.options)
    }

    fn is_full(&self, converted: &ConvertedSplit) -> bool {
        self.call.max_split_bytes.is_some_and(|max| converted.num_bytes >= max)
    }

    /// What the whole split would hold, if its rows are alike.
    fn estimate(&self, converted: &ConvertedSplit, paths: &[String], bytes_read: u64) -> Option<Estimate> {
        let size = |path: &String| self.files.get(path.as_str()).map_or(0, |file| file.size);
        let download_size: u64 = paths.iter().map(size).sum();
        if bytes_read == 0 {
            return None;
        }
        let ratio = download_size as f64 / bytes_read as f64;
        let scale = |number: u64| (number as f64 * ratio) as u64;
        Some(Estimate {
            download_size,
            num_bytes: scale(converted.num_bytes),
            num_examples: scale(converted.num_examples),
        })
    }

    fn finish(&mut self, mut converted: ConvertedSplit, writer: SplitWriter) -> Result<ConvertedSplit, EngineError> {
        converted.files = writer.finish()?;
        converted.shard_lengths = converted.files.iter().map(|file| file.num_rows).collect();
        // Sizes are known only now.
        for segment in &mut self.segments {
            if let Some(file) = converted.files.iter().find(|file| file.path == segment.file.local_path) {
                segment.file.size = file.size;
            }
        }
        Ok(converted)
    }
}

#[cfg(test)]
mod tests;
