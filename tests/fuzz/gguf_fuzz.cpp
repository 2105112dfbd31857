// SPDX-License-Identifier: MIT
// For libFuzzer: clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude gguf_fuzz.cpp
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <prefer/lm/files/config_gguf.hpp>
#include <prefer/lm/files/gguf.hpp>
#include <span>
#include <string>
#include <vector>

namespace {

namespace lm = prefer::lm;

template <class Action>
bool accepted(Action const& action) {
  try {
    action();
    return true;
  } catch (prefer::backend_error const&) {
    return false;
  }
}

// Whatever is accepted can be read whole: every value in a form, every tensor's numbers.
void read_everything(lm::gguf_file const& file) {
  for (auto const& entry : file.metadata()) {
    std::string const key(entry.key);
    bool const read =
        accepted([&] { (void)file.text(key); }) || accepted([&] { (void)file.flag(key); }) ||
        accepted([&] { (void)file.number(key); }) || accepted([&] { (void)file.texts(key); }) ||
        accepted([&] { (void)file.numbers(key); }) || entry.element == lm::gguf_type::boolean;
    if (!read) std::abort();
    accepted([&] { (void)file.whole_number(key); });
    accepted([&] { (void)file.integers(key); });
  }
  for (auto const& tensor : file.tensors()) {
    std::size_t values = 1;
    for (std::size_t const extent : tensor.shape) values *= extent;
    std::vector<float> read(values);
    lm::dequantise<float>(tensor.type, file.bytes(tensor), read);
    if (file.find(tensor.name) != &tensor) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::span const bytes(reinterpret_cast<std::byte const*>(data), size);
  try {
    lm::gguf_file const file(bytes, "fuzz");
    read_everything(file);
    (void)lm::rope_frequencies(lm::config_from_gguf(file));
  } catch (prefer::backend_error const&) {
  }
  return 0;
}
