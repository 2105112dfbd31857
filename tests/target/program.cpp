// SPDX-License-Identifier: MIT
#include <cstddef>
#include <string>

#include <prefer/expects.hpp>

// Compiled twice, as the part and as the rest of a program that both refuse sizes.
#if defined(PART)
[[gnu::visibility("default")]] std::string part(std::size_t size) {
#else
std::string part(std::size_t size);
std::string rest(std::size_t size) {
#endif
  try {
    prefer::expects_size(size, 3, "part", "column");
  } catch (prefer::precondition_error const& error) {
    return error.what();
  }
  return "";
}

#if !defined(PART)
int main() { return part(2) == rest(2) ? 0 : 1; }
#endif
