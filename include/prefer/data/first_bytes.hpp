// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/byte_source.hpp>
#include <prefer/data/place.hpp>

namespace prefer::inline v0_1::data {

/// A kind of file that is no text, by what it begins with, and how a text is made of it.
struct binary_kind {
  std::string_view name;
  std::string_view begins;
  std::size_t at;  // where in the file
  std::string_view command;
};

/// The kind of a file with this beginning, of which half a kilobyte is enough; nullptr for what may be text.
[[nodiscard]] inline binary_kind const* binary_kind_of(std::string_view beginning) {
  // Prints a row at a time, exactly: numbers as they are, and dates as their text.
  static constexpr std::string_view from_parquet =
      "python3 -c \"import json, sys, pyarrow.parquet as p; [print(json.dumps(r, default=str)) "
      "for b in p.ParquetFile(sys.argv[1]).iter_batches() for r in b.to_pylist()]\" FILE > "
      "FILE.jsonl (with pip install pyarrow)";
  static constexpr std::string_view from_arrow =
      "python3 -c \"import json, sys, pyarrow as p; [print(json.dumps(r, default=str)) for r in "
      "p.ipc.open_file(sys.argv[1]).read_all().to_pylist()]\" FILE > FILE.jsonl (with pip install "
      "pyarrow)";
  static constexpr std::string_view from_arrow_stream =
      "python3 -c \"import json, sys, pyarrow as p; [print(json.dumps(r, default=str)) for b in "
      "p.ipc.open_stream(sys.argv[1]) for r in b.to_pylist()]\" FILE > FILE.jsonl (with pip "
      "install pyarrow)";
  static constexpr binary_kind kinds[] = {
      {"compressed (gzip)", "\x1F\x8B", 0, "gzip -dc FILE > FILE.jsonl"},
      {"compressed (xz)",
       {"\xFD"
        "7zXZ\0",
        6},
       0,
       "xz -dc FILE > FILE.jsonl"},
      {"compressed (zstd)", "\x28\xB5\x2F\xFD", 0, "zstd -dc FILE > FILE.jsonl"},
      {"compressed (bzip2)", "BZh", 0, "bzip2 -dc FILE > FILE.jsonl"},
      {"compressed (lz4)", "\x04\x22\x4D\x18", 0, "lz4 -dc FILE > FILE.jsonl"},
      {"an archive (zip)", "PK\x03\x04", 0, "unzip -p FILE > FILE.jsonl"},
      {"an archive (tar)", "ustar", 257, "tar -xOf FILE > FILE.jsonl"},
      {"Parquet", "PAR1", 0, from_parquet},
      {"Arrow", "ARROW1", 0, from_arrow},
      {"an Arrow stream", "\xFF\xFF\xFF\xFF", 0, from_arrow_stream},
      {"a pointer of Git LFS", "version https://git-lfs", 0, "git lfs pull"},
      {"UTF-16", "\xFF\xFE", 0, "iconv -f UTF-16 -t UTF-8 FILE > FILE.jsonl"},
      {"UTF-16", "\xFE\xFF", 0, "iconv -f UTF-16 -t UTF-8 FILE > FILE.jsonl"}};
  for (binary_kind const& kind : kinds) {
    if (beginning.size() > kind.at && beginning.substr(kind.at).starts_with(kind.begins)) {
      return &kind;
    }
  }
  return nullptr;
}

/// Refuses what is known to be no text, in a sentence with the command that makes a text of it.
///
/// Errors  backend_error
inline void refuse_binary(std::string_view beginning, place const& at) {
  binary_kind const* const kind = binary_kind_of(beginning);
  if (kind == nullptr) return;
  place const whole{at.reader, at.source, 0};
  whole.refuse("the file is " + std::string(kind->name) +
               "; expected plain text, which this makes of it: " + std::string(kind->command));
}

/// Makes plain bytes of compressed ones; see data/gzip.hpp and data/xz.hpp.
using decoder = std::unique_ptr<byte_source> (*)(std::unique_ptr<byte_source>, place const&);

/// What a reader can decompress. Without a decoder such a file is refused in a sentence.
struct decoders {
  decoder gzip = nullptr;
  decoder xz = nullptr;
};

namespace detail {

/// A source whose beginning was looked at.
class peeked_bytes final : public byte_source {
 public:
  peeked_bytes(std::unique_ptr<byte_source> source, std::size_t count)
      : source_(std::move(source)), beginning_(count, '\0') {
    std::size_t held = 0;
    while (held < count) {
      std::size_t const got = source_->read(beginning_.data() + held, count - held);
      if (got == 0) break;
      held += got;
    }
    beginning_.resize(held);
  }

  [[nodiscard]] std::string_view beginning() const noexcept { return beginning_; }

  std::size_t read(char* to, std::size_t count) override {
    if (given_ == beginning_.size()) return source_->read(to, count);
    count = std::min(count, beginning_.size() - given_);
    std::memcpy(to, beginning_.data() + given_, count);
    given_ += count;
    return count;
  }

 private:
  std::unique_ptr<byte_source> source_;
  std::string beginning_;
  std::size_t given_ = 0;
};

}  // namespace detail

/// A source that is decompressed where its first bytes say so and a decoder is there. Nothing is read before the first
/// byte is asked for.
class plain_bytes final : public byte_source {
 public:
  plain_bytes(std::unique_ptr<byte_source> source, place at, decoders with)
      : source_(std::move(source)), at_(std::move(at)), with_(with) {}

  std::size_t read(char* to, std::size_t count) override {
    if (!begun_) begin();
    return source_->read(to, count);
  }

 private:
  void begin() {
    begun_ = true;
    auto peeked = std::make_unique<detail::peeked_bytes>(std::move(source_), 8);
    binary_kind const* const kind = binary_kind_of(peeked->beginning());
    decoder const decode = kind == nullptr                     ? nullptr
                           : kind->name == "compressed (gzip)" ? with_.gzip
                           : kind->name == "compressed (xz)"   ? with_.xz
                                                               : nullptr;
    source_ = decode == nullptr ? std::move(peeked) : decode(std::move(peeked), at_);
  }

  std::unique_ptr<byte_source> source_;
  place at_;
  decoders with_;
  bool begun_ = false;
};

}  // namespace prefer::inline v0_1::data
