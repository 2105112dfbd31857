// SPDX-License-Identifier: MIT
// For libFuzzer: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude safetensors_fuzz.cpp
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <prefer/lm/files/config_json.hpp>
#include <prefer/lm/files/safetensors.hpp>
#include <span>
#include <string_view>
#include <vector>

namespace {

namespace lm = prefer::lm;

// Whatever is accepted can be read whole, and its tensors are all of its data.
void read_file(std::span<std::byte const> bytes) {
  lm::safetensors_file const file(bytes, "fuzz");
  std::size_t read_bytes = 0;
  for (auto const& tensor : file.tensors()) {
    std::size_t values = 1;
    for (std::size_t const extent : tensor.shape) values *= extent;
    std::vector<double> read(values);
    lm::dequantise<double>(tensor.type, file.bytes(tensor), read);
    if (file.find(tensor.name) != &tensor) std::abort();
    read_bytes += tensor.bytes;
  }
  if (read_bytes > bytes.size()) std::abort();
}

void read_config(std::string_view text) {
  prefer::data::place const at{"config", "fuzz", 0};
  auto const config = lm::config_from_json({at, lm::detail::parse_json_object(text, at)});
  if (config.heads % config.key_value_heads != 0 || config.head_size % 2 != 0) std::abort();
}

}  // namespace

// The input is a safetensors file, and a config.json.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  try {
    read_file({reinterpret_cast<std::byte const*>(data), size});
  } catch (prefer::backend_error const&) {
  }
  try {
    read_config({reinterpret_cast<char const*>(data), size});
  } catch (prefer::backend_error const&) {
  }
  return 0;
}
