// SPDX-License-Identifier: MIT
#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "laws/subject.hpp"

namespace {
std::atomic<std::size_t> allocations = 0;
}  // namespace

// Not inlined, so that no compiler sees free() called on what came from operator new.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* const p = std::malloc(size == 0 ? 1 : size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

TEST_CASE("laws: this program counts allocations", "[laws][allocation]") {
  std::size_t volatile count = 100;  // a vector of known size could be optimised away
  auto const before = allocations.load();
  std::vector<int> some(count);
  CHECK(allocations.load() >= before + 1);
}

TEST_CASE("laws: evaluate_into allocates nothing, but for losses that sort their batch",
          "[laws][allocation]") {
  std::set<std::string> const sorts = {"aot", "aot_unpaired", "beta_dpo"};
  prefer::test::problems_of_size<float> floats(5000);
  prefer::test::problems_of_size<double> doubles(5000);
  for (auto const& loss : prefer::test::subjects()) {
    INFO("loss " << loss.name);
    auto in_float = floats(loss.shape);
    auto in_double = doubles(loss.shape);
    auto const before = allocations.load();
    loss.solve(in_float);
    loss.solve(in_double);
    auto const after = allocations.load();
    CHECK((after == before) == (sorts.count(loss.name) == 0));
  }
}

}  // namespace
