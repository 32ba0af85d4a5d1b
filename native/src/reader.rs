//! Histories of the project's own format into columns: docs/history-format.md.
//!
//! `harness.store.jsonl` is the specification. This reader takes what is usual and nothing else:
//! at the first line that is not (damage, a missing time, an index that goes back, an escaped name)
//! it gives up, and the file is read there, where every oddity has its words.

use rustc_hash::FxHashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};

/// The file is not of the usual form; the other reader knows what is the matter.
pub struct Unusual;

impl From<io::Error> for Unusual {
    fn from(_: io::Error) -> Self {
        Unusual
    }
}

pub const OK: u8 = 0;
pub const FAIL: u8 = 1;
pub const INFO: u8 = 2;
/// An operation without a completion.
pub const OPEN: u8 = 3;

/// No text, no node, no value (which is another thing than a null in the file, but reads alike).
pub const NOTHING: u32 = 0;

/// Texts that come again and again, each once; number 0 is no text.
pub struct Texts {
    numbers: FxHashMap<Box<[u8]>, u32>,
    pub all: Vec<Box<[u8]>>,
}

impl Texts {
    fn new() -> Self {
        Texts { numbers: FxHashMap::default(), all: vec![Box::default()] }
    }

    fn number(&mut self, text: &[u8]) -> u32 {
        if let Some(&known) = self.numbers.get(text) {
            return known;
        }
        let number = self.all.len() as u32;
        self.numbers.insert(text.into(), number);
        self.all.push(text.into());
        number
    }
}

/// One row for each operation, in order of invocation.
pub struct Columns {
    pub index: Vec<u32>,
    pub process: Vec<i64>,
    pub f: Vec<u8>,
    pub key: Vec<u32>,
    pub value: Vec<u32>,
    pub result: Vec<u32>,
    pub outcome: Vec<u8>,
    pub start: Vec<i64>,
    pub end: Vec<i64>,
    pub node: Vec<u8>,
    pub error: Vec<u16>,
    /// Only of rows that have one.
    pub position: FxHashMap<u32, i64>,
    pub names: Texts,
    pub values: Texts,
    pub words: Texts,
    /// Where the columns were not read from a text: how many values there are, and of those that
    /// are pairs, the values in them.
    pub valued: usize,
    pub pairs: Pairs,
    /// Of those that are texts, the text.
    pub strings: Vec<Option<Box<[u8]>>>,
}

/// The two values in each value that is a pair.
pub type Pairs = FxHashMap<u32, (u32, u32)>;

impl Columns {
    pub fn new() -> Self {
        Columns {
            index: Vec::new(),
            process: Vec::new(),
            f: Vec::new(),
            key: Vec::new(),
            value: Vec::new(),
            result: Vec::new(),
            outcome: Vec::new(),
            start: Vec::new(),
            end: Vec::new(),
            node: Vec::new(),
            error: Vec::new(),
            position: FxHashMap::default(),
            names: Texts::new(),
            values: Texts::new(),
            words: Texts::new(),
            valued: 0,
            pairs: FxHashMap::default(),
            strings: Vec::new(),
        }
    }
}

#[derive(Default)]
struct Line<'a> {
    kind: &'a [u8],
    process: Option<i64>,
    index: Option<i64>,
    time: Option<i64>,
    of: Option<i64>,
    position: Option<i64>,
    f: Option<&'a [u8]>,
    node: Option<&'a [u8]>,
    error: Option<&'a [u8]>,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

/// Reads what follows `offset` in a file.
pub fn read(path: &str, offset: u64) -> Result<Columns, Unusual> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let mut reader = Reader::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        // A last line without its newline may be cut off.
        if line.pop() != Some(b'\n') {
            return Err(Unusual);
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        reader.take(&parse(&line)?)?;
    }
    Ok(reader.columns)
}

struct Reader {
    columns: Columns,
    /// The open calls by index, and by process.
    open: FxHashMap<i64, u32>,
    waiting: FxHashMap<i64, i64>,
    place: i64,
    before: i64,
    clock: i64,
}

impl Reader {
    fn new() -> Self {
        Reader {
            columns: Columns::new(),
            open: FxHashMap::default(),
            waiting: FxHashMap::default(),
            place: 0,
            before: -1,
            clock: i64::MIN,
        }
    }

    fn take(&mut self, line: &Line) -> Result<(), Unusual> {
        let time = line.time.ok_or(Unusual)?;
        if time < self.clock {
            return Err(Unusual);
        }
        self.clock = time;
        let process = line.process.ok_or(Unusual)?;
        match line.kind {
            b"invoke" => self.call(line, process, time)?,
            b"ok" => self.end(line, process, time, OK)?,
            b"fail" => self.end(line, process, time, FAIL)?,
            b"info" => self.end(line, process, time, INFO)?,
            _ => return Err(Unusual),
        }
        self.place += 1;
        Ok(())
    }

    fn call(&mut self, line: &Line, process: i64, time: i64) -> Result<(), Unusual> {
        let index = line.index.unwrap_or(self.place);
        // Growing, so that none comes a second time.
        if index <= self.before || u32::try_from(index).is_err() {
            return Err(Unusual);
        }
        self.before = index;
        if self.waiting.insert(process, index).is_some() {
            return Err(Unusual);
        }
        let columns = &mut self.columns;
        let row = columns.index.len() as u32;
        self.open.insert(index, row);
        columns.index.push(index as u32);
        columns.process.push(process);
        columns.f.push(small(columns.names.number(line.f.ok_or(Unusual)?))?);
        columns.key.push(value(&mut columns.values, line.key));
        columns.value.push(value(&mut columns.values, line.value));
        columns.result.push(NOTHING);
        columns.outcome.push(OPEN);
        columns.start.push(time);
        columns.end.push(time);
        columns.node.push(small(text(&mut columns.names, line.node))?);
        columns.error.push(0);
        Ok(())
    }

    fn end(&mut self, line: &Line, process: i64, time: i64, outcome: u8) -> Result<(), Unusual> {
        let of = match line.of {
            Some(of) => of,
            None => *self.waiting.get(&process).ok_or(Unusual)?,
        };
        let row = self.open.remove(&of).ok_or(Unusual)? as usize;
        let columns = &mut self.columns;
        self.waiting.remove(&columns.process[row]);
        columns.outcome[row] = outcome;
        columns.end[row] = time;
        columns.result[row] = value(&mut columns.values, line.value);
        // It repeats the key for people; but what is no value must be found out.
        value(&mut columns.values, line.key);
        columns.error[row] =
            u16::try_from(text(&mut columns.words, line.error)).map_err(|_| Unusual)?;
        if line.node.is_some_and(|node| !node.is_empty()) {
            columns.node[row] = small(text(&mut columns.names, line.node))?;
        }
        if let Some(position) = line.position {
            columns.position.insert(row as u32, position);
        }
        Ok(())
    }
}

fn small(number: u32) -> Result<u8, Unusual> {
    u8::try_from(number).map_err(|_| Unusual)
}

fn text(texts: &mut Texts, text: Option<&[u8]>) -> u32 {
    text.map_or(NOTHING, |text| texts.number(text))
}

fn value(texts: &mut Texts, raw: Option<&[u8]>) -> u32 {
    match raw {
        None | Some(b"null") => NOTHING,
        Some(raw) => texts.number(raw),
    }
}

/// One line as an object of known and unknown fields.
fn parse(line: &[u8]) -> Result<Line<'_>, Unusual> {
    let mut at = Cursor { line, place: 0 };
    let mut found = Line::default();
    at.expect(b'{')?;
    if at.peek() == Some(b'}') {
        return Err(Unusual);
    }
    loop {
        let name = at.string()?;
        at.expect(b':')?;
        match name {
            b"type" => found.kind = at.string()?,
            b"process" => found.process = Some(at.integer()?),
            b"index" => found.index = at.maybe_integer()?,
            b"time" => found.time = at.maybe_integer()?,
            b"of" => found.of = at.maybe_integer()?,
            b"position" => found.position = at.maybe_integer()?,
            b"f" => found.f = Some(at.string()?),
            b"node" => found.node = at.maybe_string()?,
            b"error" => found.error = at.maybe_string()?,
            b"key" => found.key = Some(at.raw()?),
            b"value" => found.value = Some(at.raw()?),
            // Whether a stranger's field is whole is for the other reader to say.
            _ => return Err(Unusual),
        }
        match at.next()? {
            b',' => continue,
            b'}' => break,
            _ => return Err(Unusual),
        }
    }
    match at.peek() {
        None => Ok(found),
        Some(_) => Err(Unusual),
    }
}

struct Cursor<'a> {
    line: &'a [u8],
    place: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.line.get(self.place) {
            if !matches!(byte, b' ' | b'\t' | b'\r') {
                return Some(byte);
            }
            self.place += 1;
        }
        None
    }

    #[inline]
    fn next(&mut self) -> Result<u8, Unusual> {
        let byte = self.peek().ok_or(Unusual)?;
        self.place += 1;
        Ok(byte)
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Result<(), Unusual> {
        if self.next()? == wanted {
            Ok(())
        } else {
            Err(Unusual)
        }
    }

    /// A text without escapes, of printable ASCII: everything else is for the other reader.
    fn string(&mut self) -> Result<&'a [u8], Unusual> {
        self.expect(b'"')?;
        let start = self.place;
        loop {
            match self.line.get(self.place) {
                Some(b'"') => break,
                Some(b'\\') | None => return Err(Unusual),
                Some(byte) if !(0x20..0x7f).contains(byte) => return Err(Unusual),
                Some(_) => self.place += 1,
            }
        }
        self.place += 1;
        Ok(&self.line[start..self.place - 1])
    }

    fn maybe_string(&mut self) -> Result<Option<&'a [u8]>, Unusual> {
        if self.peek() == Some(b'n') {
            return self.null().map(|()| None);
        }
        self.string().map(Some)
    }

    fn null(&mut self) -> Result<(), Unusual> {
        if self.line[self.place..].starts_with(b"null") {
            self.place += 4;
            return Ok(());
        }
        Err(Unusual)
    }

    /// A whole number as JSON writes it, of at most 18 digits.
    fn integer(&mut self) -> Result<i64, Unusual> {
        let negative = self.peek() == Some(b'-');
        self.place += negative as usize;
        let start = self.place;
        let mut number = 0i64;
        while let Some(digit) = self.line.get(self.place).filter(|byte| byte.is_ascii_digit()) {
            number = number.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.place += 1;
        }
        let digits = self.place - start;
        let zeros = digits > 1 && self.line[start] == b'0';
        let more = matches!(self.line.get(self.place), Some(b'.' | b'e' | b'E'));
        if digits == 0 || digits > 18 || zeros || more {
            return Err(Unusual);
        }
        Ok(if negative { -number } else { number })
    }

    fn maybe_integer(&mut self) -> Result<Option<i64>, Unusual> {
        if self.peek() == Some(b'n') {
            return self.null().map(|()| None);
        }
        self.integer().map(Some)
    }

    /// The bytes of a value. Whether they are one is seen when they are decoded.
    fn raw(&mut self) -> Result<&'a [u8], Unusual> {
        let first = self.peek().ok_or(Unusual)?;
        let start = self.place;
        match first {
            b'"' => self.over_string()?,
            b'[' | b'{' => {
                let mut depth = 0usize;
                loop {
                    match self.line.get(self.place).ok_or(Unusual)? {
                        b'"' => {
                            self.over_string()?;
                            continue;
                        }
                        b'[' | b'{' => depth += 1,
                        b']' | b'}' => depth -= 1,
                        _ => {}
                    }
                    self.place += 1;
                    if depth == 0 {
                        break;
                    }
                    if depth > 64 {
                        return Err(Unusual);
                    }
                }
            }
            _ => {
                while let Some(byte) = self.line.get(self.place) {
                    if matches!(byte, b',' | b'}' | b' ' | b'\t' | b'\r') {
                        break;
                    }
                    self.place += 1;
                }
            }
        }
        if start == self.place {
            Err(Unusual)
        } else {
            Ok(&self.line[start..self.place])
        }
    }

    fn over_string(&mut self) -> Result<(), Unusual> {
        self.place += 1;
        loop {
            match self.line.get(self.place).ok_or(Unusual)? {
                b'"' => break,
                b'\\' => self.place += 2,
                _ => self.place += 1,
            }
        }
        self.place += 1;
        Ok(())
    }
}
