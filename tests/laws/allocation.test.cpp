// SPDX-License-Identifier: MIT
#include <atomic>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include <prefer/loss/catalogue.hpp>
#include <prefer/objective/evaluate.hpp>

#include "laws/problem.hpp"

namespace {
std::atomic<std::size_t> allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* const p = std::malloc(size == 0 ? 1 : size)) return p;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, std::nothrow_t const&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace {

TEST_CASE("laws: this program counts allocations", "[laws][allocation]") {
  std::size_t volatile count = 100;  // a vector of known size could be optimised away
  auto const before = allocations.load();
  std::vector<int> some(count);
  CHECK(allocations.load() >= before + 1);
}

TEST_CASE("laws: evaluate_into allocates nothing, for every loss", "[laws][allocation]") {
  prefer::for_each_loss([](auto const& loss, auto const&) {
    INFO("loss " << loss.name);
    prefer::test::problem_for<decltype(loss), float> in_float(5000);
    prefer::test::problem_for<decltype(loss), double> in_double(5000);
    auto const before = allocations.load();
    prefer::test::solve(loss, in_float);
    prefer::test::solve(loss, in_double);
    auto const after = allocations.load();
    CHECK(after == before);
  });
}

}  // namespace
