// SPDX-License-Identifier: MIT
// For libFuzzer: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude archive_fuzz.cpp
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <span>
#include <string>
#include <vector>

namespace {

// Whatever is accepted can be read whole, and writing it again gives the same bytes.
void read_and_write_again(prefer::archive const& file, std::vector<unsigned char> const& bytes) {
  prefer::archive_writer writer;
  auto const try_to_add = [&](std::string const& name, auto read) {
    try {
      writer.add(name, read());
      return true;
    } catch (prefer::backend_error const&) {
      return false;
    }
  };
  for (std::string const& name : file.names()) {
    bool const added = try_to_add(name, [&] { return file.get<float>(name); }) ||
                       try_to_add(name, [&] { return file.get<double>(name); }) ||
                       try_to_add(name, [&] { return file.get<std::int64_t>(name); }) ||
                       try_to_add(name, [&] { return file.get<std::uint64_t>(name); }) ||
                       try_to_add(name, [&] { return file.text(name); });
    if (!added) std::abort();
  }
  if (writer.bytes() != bytes) std::abort();
}

}  // namespace

// The input is a file without its size and checksum, which are put right: random changes would get no further than those.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::vector<unsigned char> bytes(data, data + size);
  bytes.resize(size + 16);
  std::uint64_t const total = bytes.size();
  std::memcpy(bytes.data() + size, &total, 8);
  auto const sum =
      prefer::detail::archive_checksum(std::span<unsigned char const>(bytes).first(size + 8));
  std::memcpy(bytes.data() + size + 8, &sum, 8);
  try {
    read_and_write_again(prefer::archive::parse(bytes, "fuzz"), bytes);
  } catch (prefer::backend_error const&) {
  }
  return 0;
}
