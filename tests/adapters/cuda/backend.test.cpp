// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda/sort.cuh>

#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include <prefer/loss/dpo.hpp>

#include "adapters/cuda/on_device.hpp"
#include "support/near.hpp"

namespace {

namespace cuda = prefer::cuda;
using namespace prefer::test;
using prefer::bfloat16;
using prefer::half;

constexpr cudaStream_t stream = nullptr;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

template <class T>
prefer::cuda::pair_columns stored(on_device& device, prefer::pair_columns const& of) {
  return {
      .policy = {device.keep<T>(of.policy.chosen), device.keep<T>(of.policy.rejected)},
      .reference = {device.keep<T>(of.reference.chosen), device.keep<T>(of.reference.rejected)}};
}

/// The batch that a device holds whose numbers are stored as T, read back into doubles.
template <class T>
void same_for_storage(double tolerance) {
  problem<double> p({}, 300);
  auto const exact = p.columns<2>();
  std::vector<std::vector<double>> rounded;
  auto const round = [&](prefer::column const& from) {
    auto& to = rounded.emplace_back(from.size());
    for (std::size_t i = 0; i < to.size(); ++i) {
      to[i] = static_cast<double>(static_cast<T>(from[i]));
    }
  };
  for (auto const& one : {exact.policy.chosen, exact.policy.rejected, exact.reference.chosen,
                          exact.reference.rejected}) {
    round(one);
  }
  prefer::pair_columns const here{.policy = {rounded[0], rounded[1]},
                                  .reference = {rounded[2], rounded[3]}};
  on_device device;
  auto const ours = evaluate(prefer::dpo{}, here);
  auto const theirs = cuda::evaluate<double>(prefer::dpo{}, stored<T>(device, exact));
  CHECK(theirs.loss.read() == Approx(ours.loss).epsilon(tolerance));
  auto const coefficient = theirs.coefficient.chosen.to_host();
  for (std::size_t i = 0; i < coefficient.size(); ++i) {
    CHECK(near(coefficient[i], ours.coefficient.chosen[i], tolerance, 1e-3));
  }
}

TEST_CASE("cuda: columns of float, double and 16 bits are read as they are stored", "[cuda]") {
  STATIC_REQUIRE(prefer::Backend<cuda::backend>);
  // Margins of some 8 nats, of numbers up to 61, in float.
  same_for_storage<float>(100 * 0x1p-24);
  same_for_storage<half>(100 * 0x1p-24);
  same_for_storage<bfloat16>(100 * 0x1p-24);
  same_for_storage<double>(1e-12);
}

TEST_CASE("cuda: results are rounded to the type that they are stored as", "[cuda]") {
  problem<float> p({}, 50);
  on_device device;
  auto const batch = device(p.columns<2>());
  auto const exact = cuda::evaluate<float>(prefer::dpo{}, batch).coefficient.chosen.to_host();
  auto const of_half = cuda::evaluate<half>(prefer::dpo{}, batch).coefficient.chosen.to_host();
  auto const of_bfloat =
      cuda::evaluate<bfloat16>(prefer::dpo{}, batch).coefficient.chosen.to_host();
  for (std::size_t i = 0; i < 50; ++i) {
    CHECK(float{of_half[i]} == float{half(exact[i])});
    CHECK(float{of_bfloat[i]} == float{bfloat16(exact[i])});
  }
}

TEST_CASE("cuda: sums are of all rows, the same bits each time, for any number of rows", "[cuda]") {
  for (std::size_t const n : {1u, 2u, 31u, 255u, 256u, 257u, 1021u, 4099u}) {
    CAPTURE(n);
    problem<float> p({}, n);
    on_device device;
    auto const batch = device(p.columns<2>());
    auto const once = cuda::evaluate(prefer::dpo{}, batch).loss.read();
    CHECK(once == cuda::evaluate(prefer::dpo{}, batch).loss.read());
    CHECK(once == Approx(evaluate(prefer::dpo{}, p.columns<2>()).loss).epsilon(1e-6));
  }
}

TEST_CASE("cuda: a thread has several rows where there are more than threads", "[cuda]") {
  // The kernel itself, with one block for 700 rows.
  std::vector<double> numbers(700);
  std::iota(numbers.begin(), numbers.end(), 1.0);
  cuda::device_column<double> const in(numbers, stream);
  cuda::device_column<double> out(700, stream), sum(1, stream);
  using columns = cuda::unpaired_columns;
  cuda::inputs<columns> from{};
  from.at[prefer::detail::input_of<columns, prefer::column_name::policy>] = {
      in.data(), prefer::storage::float64};
  cuda::outputs<1> const to{{{out.data(), prefer::storage::float64}}};
  cuda::launch(stream, 1, cuda::threads_of_block, "test",
               &cuda::map_records<double, columns, ~0u, 1, prefer::detail::copied_number>,
               prefer::detail::copied_number{}, from, to, std::size_t{700}, sum.data());
  CHECK(out.to_host() == numbers);
  CHECK(sum.to_host()[0] == 700.0 * 701.0 / 2.0);
}

TEST_CASE("cuda: rows in ascending order, matched, gathered and scattered as on the host",
          "[cuda]") {
  std::vector<double> const keys = {3, -0.0, nan, 0.0, -7, 3, 2, -nan, 1e300, -7};
  cuda::device_column<double> const on_device_keys(keys, stream);
  cuda::backend const device(stream);
  prefer::host const host;
  prefer::unpaired_columns const here{.policy = keys};
  cuda::unpaired_columns const there{.policy = on_device_keys};
  prefer::detail::copied_number const number{};
  auto const read = [](cuda::row_numbers const& rows) {
    std::vector<std::uint32_t> out(rows.size());
    cuda::copy_to_host(out.data(), rows.data(), out.size() * 4, stream, "test");
    return out;
  };
  auto const order = host.ascending(here, number);
  auto const rows = device.ascending(there, number);
  CHECK(read(rows) == order);
  CHECK(read(device.inverse(rows)) == prefer::host::inverse(order));
  CHECK(read(device.gather(rows, rows)) == prefer::host::gather(order, order));

  // Rows that are taken twice get the sum, in their order: 1e300 + 3 + 3 - 1e300 tells which.
  std::vector<double> const values = {1e300, 3, 3, -1e300, 5, 6, 7, 8, 9, 10};
  std::vector<std::uint32_t> const to = {4, 4, 4, 4, 0, 9, 9, 2, 1, 0};
  cuda::device_column<double> const from(values, stream);
  cuda::row_numbers const targets(to.size(), stream);
  cuda::copy_to_device(targets.data(), to.data(), to.size() * 4, stream, "test");
  auto const scattered = device.scatter(cuda::column(from), targets);
  std::vector<double> got(10);
  cuda::copy_to_host(got.data(), scattered.view().data(), 80, stream, "test");
  CHECK(got == prefer::host::scatter(values, to).made);
}

template <class T>
void gathers(std::vector<T> const& numbers) {
  cuda::device_column<T> const from(std::span<T const>(numbers), stream);
  std::vector<std::uint32_t> const rows = {2, 0, 2};
  cuda::row_numbers const which(3, stream);
  cuda::copy_to_device(which.data(), rows.data(), 12, stream, "test");
  auto const gathered = cuda::backend(stream).gather(cuda::column(from), which);
  CHECK(gathered.view().stored_as() == cuda::column(from).stored_as());
  T got[3];
  cuda::copy_to_host(got, gathered.view().data(), sizeof got, stream, "test");
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(static_cast<double>(got[i]) == static_cast<double>(numbers[rows[i]]));
  }
}

TEST_CASE("cuda: what is gathered is stored as it was", "[cuda]") {
  gathers<float>({1.5f, 2, 3});
  gathers<double>({1.5, 2, 3});
  gathers<half>({half(1.5f), half(2.0f), half(3.0f)});
  gathers<std::int32_t>({7, 8, 9});
  gathers<prefer::bfloat16>({bfloat16(1.5f), bfloat16(2.0f), bfloat16(3.0f)});
}

}  // namespace
