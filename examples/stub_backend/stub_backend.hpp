// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/columns.hpp>

// A backend to begin with: copy this file, name it after your tensors, and put in one operation after the other. What each
// owes is in the docstring of `prefer::Backend`; docs/guides/own-backend.md goes through them.

[[noreturn]] inline void unimplemented(char const* operation) {
  throw std::logic_error(std::string(operation) + " is unimplemented");
}

// [column]
/// Your numbers: a handle that is cheap to copy. Absent by default.
class stub_column {
 public:
  using offsets =
      std::span<std::size_t const>;  // where lists begin and end: sizes, which the host keeps

  stub_column() = default;
  explicit stub_column(std::size_t size) : present_(true), size_(size) {}

  [[nodiscard]] bool present() const { return present_; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  bool present_ = false;
  std::size_t size_ = 0;
};
// [/column]

/// Numbers of rows, where your numbers are.
struct stub_rows {
  std::size_t size = 0;
  [[nodiscard]] bool empty() const { return size == 0; }
};

/// A sum, where your numbers are: nobody waits for it until `read`.
struct stub_number {
  friend stub_number operator/(stub_number, double) { unimplemented("operator/ of a number"); }
};

// [backend]
class stub_backend {
 public:
  using column = stub_column;
  using result = stub_column;
  using rows = stub_rows;
  using number = stub_number;

  /// A column that owns its numbers.
  struct owned {
    stub_column made;
    [[nodiscard]] column view() const { return made; }
    [[nodiscard]] stub_column result() const { return made; }
  };

  template <class Columns, class F, std::size_t N>
  [[nodiscard]] std::array<number, N> for_each_record(
      Columns const& /*batch*/, F const& /*formula*/,
      std::array<result, N> const& /*results*/) const {
    unimplemented("for_each_record");
  }
  template <class F>
  [[nodiscard]] number for_each_list(prefer::basic_list_columns<column> const& /*batch*/,
                                     F const& /*formula*/, result const& /*of_lists*/,
                                     result const& /*of_completions*/) const {
    unimplemented("for_each_list");
  }
  template <std::size_t N>
  [[nodiscard]] std::array<double, N> read(std::array<number, N> const& /*sums*/) const {
    unimplemented("read");
  }
  template <class Columns, class F>
  [[nodiscard]] std::vector<double> numbers(Columns const& /*batch*/, F const& /*formula*/) const {
    unimplemented("numbers");
  }
  template <class Columns, class F>
  [[nodiscard]] rows ascending(Columns const& /*batch*/, F const& /*formula*/) const {
    unimplemented("ascending");
  }
  [[nodiscard]] rows inverse(rows const& /*of*/) const { unimplemented("inverse"); }
  [[nodiscard]] rows gather(rows const& /*from*/, rows const& /*which*/) const {
    unimplemented("gather of rows");
  }
  [[nodiscard]] owned gather(column const& /*from*/, rows const& /*which*/) const {
    unimplemented("gather");
  }
  [[nodiscard]] owned scatter(column const& /*from*/, rows const& /*to*/) const {
    unimplemented("scatter");
  }
  [[nodiscard]] owned room(std::size_t /*n*/) const { unimplemented("room"); }
};

/// How the library finds the backend of a column: beside the column's type.
[[nodiscard]] inline stub_backend backend_of(stub_column const& /*any*/) { return {}; }

static_assert(prefer::Backend<stub_backend>);
// [/backend]
