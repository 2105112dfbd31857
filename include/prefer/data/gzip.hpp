// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <zlib.h>

#include <prefer/data/byte_source.hpp>
#include <prefer/data/place.hpp>

namespace prefer::inline v0_1::data {

/// Plain bytes of gzip's, one block in memory at a time; of several members one behind the other, all of them.
///
/// Errors  backend_error: data that is damaged or cut off, and what stands behind the last member and is none
class gzip_bytes final : public byte_source {
 public:
  gzip_bytes(std::unique_ptr<byte_source> source, place at)
      : source_(std::move(source)), at_(std::move(at)), block_(std::size_t{1} << 16) {
    at_.line = 0;
    constexpr int of_gzip = 16 + MAX_WBITS;  // a gzip header is asked for
    if (inflateInit2(&stream_, of_gzip) != Z_OK) at_.refuse("gzip: no memory");
  }
  gzip_bytes(gzip_bytes const&) = delete;
  gzip_bytes& operator=(gzip_bytes const&) = delete;
  ~gzip_bytes() override { inflateEnd(&stream_); }

  std::size_t read(char* to, std::size_t count) override {
    auto const most =
        static_cast<uInt>(std::min<std::size_t>(count, std::numeric_limits<uInt>::max()));
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = most;
    while (stream_.avail_out == most) {
      if (stream_.avail_in == 0 && !fill()) {
        if (!between_members_) at_.refuse("truncated: the file ends inside its gzip data");
        return 0;
      }
      if (between_members_) begin_member();
      int const state = inflate(&stream_, Z_NO_FLUSH);
      if (state == Z_STREAM_END) {
        between_members_ = true;
      } else if (state != Z_OK) {
        refuse();
      }
    }
    return most - stream_.avail_out;
  }

 private:
  bool fill() {
    std::size_t const got = source_->read(reinterpret_cast<char*>(block_.data()), block_.size());
    stream_.next_in = block_.data();
    stream_.avail_in = static_cast<uInt>(got);
    return got != 0;
  }
  void begin_member() {
    if (members_ > 0) inflateReset(&stream_);
    ++members_;
    between_members_ = false;
  }
  [[noreturn]] void refuse() const {
    std::string const why = stream_.msg == nullptr ? "damaged" : stream_.msg;
    at_.refuse(members_ > 1 && stream_.total_out == 0
                   ? "behind the gzip data stands something else (" + why + ")"
                   : "the gzip data cannot be read: " + why);
  }

  std::unique_ptr<byte_source> source_;
  place at_;
  std::vector<Bytef> block_;
  z_stream stream_ = {};
  std::size_t members_ = 0;
  bool between_members_ = true;
};

/// For `decoders::gzip`.
[[nodiscard]] inline std::unique_ptr<byte_source> gzip_decoder(std::unique_ptr<byte_source> source,
                                                               place const& at) {
  return std::make_unique<gzip_bytes>(std::move(source), at);
}

}  // namespace prefer::inline v0_1::data
