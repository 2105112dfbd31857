// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

#include <prefer/expects.hpp>
#include <prefer/scalar/half.hpp>

namespace prefer::inline v0_1::lm {

/// to[rows, columns] = left[rows, depth] right[depth, columns], or added to what is there.
///
/// Matrices lie row after row, `stride` numbers from one row to the next. A transposed operand lies so in memory as its
/// transpose: left_transposed says that element (r, k) is left[k * left_stride + r].
template <class T>
struct product {
  std::size_t rows = 0, columns = 0, depth = 0;
  T const* left = nullptr;
  std::size_t left_stride = 0;
  bool left_transposed = false;
  T const* right = nullptr;
  std::size_t right_stride = 0;
  bool right_transposed = false;
  T* to = nullptr;
  std::size_t to_stride = 0;
  bool add = false;
};

/// The same of bfloat16 operands, added up in float; the left one as it is.
struct bfloat16_product {
  std::size_t rows = 0, columns = 0, depth = 0;
  bfloat16 const* left = nullptr;
  std::size_t left_stride = 0;
  bfloat16 const* right = nullptr;
  std::size_t right_stride = 0;
  bool right_transposed = false;
  float* to = nullptr;
  std::size_t to_stride = 0;
  bool add = false;
};

/// Which numbers of rows a library treats alike: with at least `least` rows, a multiple of `multiple`, the bits of a row
/// do not depend on how many other rows there are, nor on its place among them. `multiple` divides 48.
struct row_rule {
  std::size_t least = 1;
  std::size_t multiple = 1;

  /// The least such number that is not below `rows`.
  [[nodiscard]] constexpr std::size_t padded(std::size_t rows) const noexcept {
    std::size_t const enough = prefer::detail::at_least(least, rows);
    return (enough + multiple - 1) / multiple * multiple;
  }
};

/// A library that multiplies matrices on the calling thread.
///
/// Asked for   `name()`; `multiply(product<T>)`; `rows_alike(product<T>)`: the rule for the rows of products that differ
///             from this one in their rows alone. One that multiplies bfloat16 has both for bfloat16_product too
/// Semantics   multiply starts no thread and may be called by several at once; the same product gives the same bits
template <class M, class T>
concept MatrixProducts = std::floating_point<T> && requires(M const& library, product<T> const& p) {
  { library.name() } -> std::convertible_to<std::string_view>;
  library.multiply(p);
  { library.rows_alike(p) } -> std::same_as<row_rule>;
};

/// A library that multiplies bfloat16 as well.
template <class M>
concept Bfloat16Products = requires(M const& library, bfloat16_product const& p) {
  { library.has_bfloat16() } -> std::same_as<bool>;  // on the processor that it runs on
  library.multiply(p);
  { library.rows_alike(p) } -> std::same_as<row_rule>;
};

/// A handle to a library that multiplies matrices: two pointers, passed by value. It does not own the library, which is
/// an object that outlives it (`prefer::lm::eigen_products`, for example).
template <std::floating_point T>
class products {
 public:
  template <class M>
    requires(!std::same_as<M, products> && MatrixProducts<M, T>)
  products(M const& library)  // NOLINT(google-explicit-constructor): a library is its products
      : library_(&library), functions_(&functions_of<M>) {}
  template <class M>
    requires(!std::same_as<M, products> && MatrixProducts<M, T>)
  products(M const&& library) = delete;  // prefer: the library outlives the handle; give it a name

  [[nodiscard]] std::string_view name() const { return functions_->name(library_); }
  void multiply(product<T> const& p) const {
    if (p.rows != 0 && p.columns != 0) functions_->multiply(library_, p);
  }
  [[nodiscard]] row_rule rows_alike(product<T> const& p) const {
    return functions_->rows_alike(library_, p);
  }

  [[nodiscard]] bool has_bfloat16() const {
    return functions_->has_bfloat16 != nullptr && functions_->has_bfloat16(library_);
  }
  /// Errors  precondition_error where the library has no products of bfloat16
  void multiply(bfloat16_product const& p) const {
    expects_bfloat16();
    if (p.rows != 0 && p.columns != 0) functions_->multiply_bfloat16(library_, p);
  }
  [[nodiscard]] row_rule rows_alike(bfloat16_product const& p) const {
    expects_bfloat16();
    return functions_->bfloat16_rows_alike(library_, p);
  }
  void expects_bfloat16() const {
    if (!has_bfloat16()) {
      refuse("products: " + std::string(name()) +
             " multiplies no bfloat16 here; oneDNN does on processors that have it, or compute in "
             "full "
             "precision");
    }
  }

 private:
  struct functions {
    std::string_view (*name)(void const*);
    void (*multiply)(void const*, product<T> const&);
    row_rule (*rows_alike)(void const*, product<T> const&);
    bool (*has_bfloat16)(void const*) = nullptr;
    void (*multiply_bfloat16)(void const*, bfloat16_product const&) = nullptr;
    row_rule (*bfloat16_rows_alike)(void const*, bfloat16_product const&) = nullptr;
  };
  template <class M>
  static M const& as(void const* library) {
    return *static_cast<M const*>(library);
  }
  template <class M>
  static constexpr functions functions_of = [] {
    functions out{
        .name = [](void const* it) { return std::string_view(as<M>(it).name()); },
        .multiply = [](void const* it, product<T> const& p) { as<M>(it).multiply(p); },
        .rows_alike = [](void const* it, product<T> const& p) { return as<M>(it).rows_alike(p); }};
    if constexpr (Bfloat16Products<M> && std::same_as<T, float>) {
      out.has_bfloat16 = [](void const* it) { return as<M>(it).has_bfloat16(); };
      out.multiply_bfloat16 = [](void const* it, bfloat16_product const& p) {
        as<M>(it).multiply(p);
      };
      out.bfloat16_rows_alike = [](void const* it, bfloat16_product const& p) {
        return as<M>(it).rows_alike(p);
      };
    }
    return out;
  }();

  void const* library_;
  functions const* functions_;
};

}  // namespace prefer::inline v0_1::lm
