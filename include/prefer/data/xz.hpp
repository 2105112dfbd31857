// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <lzma.h>

#include <prefer/data/byte_source.hpp>
#include <prefer/data/place.hpp>

namespace prefer::inline v0_1::data {

/// Plain bytes of xz's, one block in memory at a time; of several streams one behind the other, all of them.
///
/// Errors  backend_error: data that is damaged or cut off, what stands behind the last stream and is none, and a
///         dictionary of more than 256 MiB
class xz_bytes final : public byte_source {
 public:
  xz_bytes(std::unique_ptr<byte_source> source, place at)
      : source_(std::move(source)), at_(std::move(at)), block_(std::size_t{1} << 16) {
    at_.line = 0;
    constexpr std::uint64_t most_memory = std::uint64_t{256} << 20;
    if (lzma_stream_decoder(&stream_, most_memory, LZMA_CONCATENATED) != LZMA_OK) {
      at_.refuse("xz: no memory");
    }
  }
  xz_bytes(xz_bytes const&) = delete;
  xz_bytes& operator=(xz_bytes const&) = delete;
  ~xz_bytes() override { lzma_end(&stream_); }

  std::size_t read(char* to, std::size_t count) override {
    stream_.next_out = reinterpret_cast<std::uint8_t*>(to);
    stream_.avail_out = count;
    while (stream_.avail_out == count && !ended_) {
      if (stream_.avail_in == 0 && !no_more_) fill();
      lzma_ret const state = lzma_code(&stream_, no_more_ ? LZMA_FINISH : LZMA_RUN);
      ended_ = state == LZMA_STREAM_END;
      if (!ended_ && state != LZMA_OK) refuse(state);
    }
    return count - stream_.avail_out;
  }

 private:
  void fill() {
    stream_.next_in = block_.data();
    stream_.avail_in = source_->read(reinterpret_cast<char*>(block_.data()), block_.size());
    no_more_ = stream_.avail_in == 0;
  }
  [[noreturn]] void refuse(lzma_ret state) const {
    if (state == LZMA_BUF_ERROR) at_.refuse("truncated: the file ends inside its xz data");
    if (state == LZMA_MEMLIMIT_ERROR) at_.refuse("xz: needs more than 256 MiB to be read");
    at_.refuse(stream_.total_out > 0 && (state == LZMA_FORMAT_ERROR || state == LZMA_DATA_ERROR)
                   ? "the xz data is damaged, or something else stands behind it"
                   : "the xz data cannot be read: error " + std::to_string(state));
  }

  std::unique_ptr<byte_source> source_;
  place at_;
  std::vector<std::uint8_t> block_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool no_more_ = false;
  bool ended_ = false;
};

/// For `decoders::xz`.
[[nodiscard]] inline std::unique_ptr<byte_source> xz_decoder(std::unique_ptr<byte_source> source,
                                                             place const& at) {
  return std::make_unique<xz_bytes>(std::move(source), at);
}

}  // namespace prefer::inline v0_1::data
