// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// The whole content of a file. Reads to the end rather than asking for a size, so a pipe works too.
///
/// Errors  backend_error with the path and the system's reason
template <class = on_demand>
[[nodiscard]] std::vector<unsigned char> read_bytes(std::string const& path) {
  std::FILE* const stream = std::fopen(path.c_str(), "rb");
  if (stream == nullptr) {
    detail::fail(backend_error("read_bytes", path,
                               std::string("cannot open file: ") + std::strerror(errno)));
  }
  struct closer {
    std::FILE* stream;
    ~closer() { std::fclose(stream); }
  } const close_at_end{stream};

  std::vector<unsigned char> bytes;
  for (std::size_t have = 0;;) {
    bytes.resize(have + (have < 65536 ? 65536 : have));
    errno = 0;
    std::size_t const wanted = bytes.size() - have;
    std::size_t const got = std::fread(bytes.data() + have, 1, wanted, stream);
    have += got;
    if (got == wanted) continue;
    if (std::ferror(stream) != 0) {
      detail::fail(
          backend_error("read_bytes", path, std::string("cannot read: ") + std::strerror(errno)));
    }
    bytes.resize(have);
    return bytes;
  }
}

}  // namespace prefer::inline v0_1
