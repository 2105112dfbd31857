// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdio>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/binary_file.hpp>
#include <string>
#include <vector>

TEST_CASE("read_bytes: gives back what was written, at every size around its buffer",
          "[file][binary_file]") {
  std::string const path = "binary_file_test.bin";
  for (std::size_t const size : {0U, 1U, 65535U, 65536U, 65537U, 131072U, 131073U, 500000U}) {
    std::vector<unsigned char> bytes(size);
    for (std::size_t i = 0; i != size; ++i) bytes[i] = static_cast<unsigned char>(i * 7 + i / 256);
    prefer::atomic_file file(path);
    file.write(bytes.data(), bytes.size());
    file.commit();
    CHECK(prefer::read_bytes(path) == bytes);
  }
  std::remove(path.c_str());
}

TEST_CASE("read_bytes: a missing file and a directory are refused by name", "[file][binary_file]") {
  CHECK_THROWS_WITH(prefer::read_bytes("no/such/file"),
                    Catch::Contains("no/such/file") && Catch::Contains("cannot open file"));
  CHECK_THROWS_AS(prefer::read_bytes("."), prefer::backend_error);
}
