// SPDX-License-Identifier: MIT
#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <string>

// Libraries that hold other versions of our kernels live in one process, and each runs its own; RTLD_GLOBAL lets the loader
// give one of them the other's functions where names are the same.

namespace {

/// A library that stays open: what it registered with the runtime is used until the process ends.
float number_of_token_in(char const* library) {
  void* const opened = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
  char const* const why = dlerror();
  INFO(std::string(why == nullptr ? library : why));
  REQUIRE(opened != nullptr);
  auto const function = reinterpret_cast<float (*)()>(dlsym(opened, "number_of_token"));
  REQUIRE(function != nullptr);
  return function();
}

TEST_CASE("cuda: two versions in one process have kernels of their own", "[cuda][versions]") {
  CHECK(number_of_token_in(this_library) == 41.0f);
  CHECK(number_of_token_in(next_library) == 42.0f);
  CHECK(number_of_token_in(this_library) == 41.0f);
  // Other headers under this version's name get the first library's functions, and its kernel: what versions are for.
  CHECK(number_of_token_in(same_library) == 41.0f);
}

}  // namespace
