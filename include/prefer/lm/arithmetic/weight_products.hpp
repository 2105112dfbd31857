// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/arithmetic/products.hpp>
#include <prefer/lm/files/tensor_type.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/parallel/executor.hpp>

// Rows of activations times matrices of weights. Weights are [out, in], row after row, as files have them, in memory as
// numbers or as stored; what is stored is read in panels. Work is cut by the sizes of the problem alone, and rows are padded
// where the library asks for it: the bits of a row depend on nothing but the row and the weights.

namespace prefer::inline v0_1::lm {

/// In what frozen weights are multiplied: as T, or both operands rounded to bfloat16 and added up in float.
enum class compute_type { full, bf16 };

/// Who multiplies, on which threads, and how precisely.
template <std::floating_point T>
struct arithmetic {
  products<T> by;
  executor threads = {};
  compute_type weights = compute_type::full;  ///< of those that are not trained
};

/// A matrix in the caller's memory, which outlives it.
template <std::floating_point T>
[[nodiscard]] weight_matrix<T> weights_at(std::size_t rows, std::size_t columns, T const* values) {
  return {type_of_values<T>, rows, columns, std::as_bytes(std::span(values, rows * columns)),
          nullptr};
}

namespace detail {

// Measured with three libraries: from about 190 rows and 290 columns on, a chunk loses nothing by what is packed for it
// alone.
inline constexpr std::size_t rows_per_chunk = 192;
inline constexpr std::size_t columns_per_chunk = 288;
inline constexpr std::size_t whole_tiles_of_rows = 48;  // a multiple of what libraries ask for
inline constexpr std::size_t panel_numbers =
    1'048'576;  // that are read of stored weights at a time

/// [0, size) in `parts` parts that are multiples of `multiple`, the last one shorter, as even as that allows.
struct even_parts {
  std::size_t size, each;

  even_parts(std::size_t of, std::size_t about, std::size_t multiple) : size(of), each(of) {
    std::size_t const parts = at_least(1, (of + about / 2) / about);
    each = at_least(1, ((of + parts - 1) / parts + multiple - 1) / multiple * multiple);
  }
  [[nodiscard]] std::size_t count() const { return size == 0 ? 0 : (size + each - 1) / each; }
  [[nodiscard]] std::size_t begin(std::size_t part) const { return part * each; }
  [[nodiscard]] std::size_t length(std::size_t part) const {
    return at_most(each, size - part * each);
  }
};

template <class T>
struct element_of_product;
template <class T>
struct element_of_product<product<T>> {
  using operand = T;
  using result = T;
};
template <>
struct element_of_product<bfloat16_product> {
  using operand = bfloat16;
  using result = float;
};

/// The product with its rows padded as the library asks, so that they are alike however many there are.
template <class T, class P>
void multiply_alike(products<T> const& by, P const& p) {
  using operand = typename element_of_product<P>::operand;
  using result = typename element_of_product<P>::result;
  row_rule const rule = by.rows_alike(p);
  std::size_t whole = p.rows / rule.multiple * rule.multiple;
  if (whole < rule.least) whole = 0;
  if (whole != 0) {
    P direct = p;
    direct.rows = whole;
    by.multiply(direct);
  }
  std::size_t const rest = p.rows - whole;
  if (rest == 0) return;
  P padded = p;
  padded.rows = rule.padded(rest);
  padded.left_stride = p.depth;
  padded.to_stride = p.columns;
  std::vector<operand> left(padded.rows * p.depth);
  scratch<result> to(padded.rows * p.columns);
  for (std::size_t r = 0; r != rest; ++r) {
    operand const* const from = p.left + (whole + r) * p.left_stride;
    for (std::size_t k = 0; k != p.depth; ++k) left[r * p.depth + k] = from[k];
  }
  for (std::size_t i = 0; i != padded.rows * p.columns; ++i) to.data()[i] = 0;
  if (p.add) {
    for (std::size_t r = 0; r != rest; ++r) {
      result const* const from = p.to + (whole + r) * p.to_stride;
      for (std::size_t c = 0; c != p.columns; ++c) to.data()[r * p.columns + c] = from[c];
    }
  }
  padded.left = left.data();
  padded.to = to.data();
  by.multiply(padded);
  for (std::size_t r = 0; r != rest; ++r) {
    result* const row = p.to + (whole + r) * p.to_stride;
    for (std::size_t c = 0; c != p.columns; ++c) row[c] = to.data()[r * p.columns + c];
  }
}

/// The product in chunks over the threads: of rows, which are not transposed, and of columns.
template <class T, class P>
void multiply_in_chunks(arithmetic<T> const& how, P const& p) {
  row_rule const rule = how.by.rows_alike(p);
  even_parts const rows(p.rows, at_least(rows_per_chunk, rule.least), whole_tiles_of_rows);
  even_parts const columns(p.columns, columns_per_chunk, 16);
  how.threads.for_each_chunk(rows.count() * columns.count(), [&](std::size_t chunk) {
    std::size_t const r = chunk % rows.count(), c = chunk / rows.count();
    P part = p;
    part.rows = rows.length(r);
    part.columns = columns.length(c);
    part.left += rows.begin(r) * p.left_stride;
    part.right += columns.begin(c) * (p.right_transposed ? p.right_stride : 1);
    part.to += rows.begin(r) * p.to_stride + columns.begin(c);
    multiply_alike(how.by, part);
  });
}

inline void round_to_bfloat16(float const* from, std::size_t count, bfloat16* to) {
  for (std::size_t i = 0; i != count; ++i) to[i] = bfloat16(from[i]);
}

/// f(first row, rows, their numbers) for the panels of a matrix one after the other: all of it where its numbers are in
/// memory as T, else as many rows as are read at a time, by all threads.
template <class T, class F>
void for_each_panel(executor threads, weight_matrix<T> const& weights, F const& f) {
  if (weights.has_values()) {
    f(std::size_t{0}, weights.rows(), weights.values().data());
    return;
  }
  std::size_t const columns = weights.columns();
  std::size_t const rows =
      at_most(weights.rows(), at_least(1, panel_numbers / at_least(1, columns)));
  scratch<T> panel(rows * columns);
  for (std::size_t first = 0; first < weights.rows(); first += rows) {
    std::size_t const count = at_most(rows, weights.rows() - first);
    threads.for_each_block(count, 64, [&](std::size_t begin, std::size_t end) {
      weights.read_rows(first + begin, end - begin, panel.data() + begin * columns, columns);
    });
    f(first, count, panel.data());
  }
}

/// The same as bfloat16; what is stored so is taken as it is.
template <class F>
void for_each_bfloat16_panel(executor threads, weight_matrix<float> const& weights, F const& f) {
  if (weights.type() == tensor_type::bf16) {
    auto const* const stored = weights.row_bytes(0, weights.rows()).data();
    if (reinterpret_cast<std::uintptr_t>(stored) % alignof(bfloat16) == 0) {
      f(std::size_t{0}, weights.rows(), reinterpret_cast<bfloat16 const*>(stored));
      return;
    }
  }
  std::size_t const columns = weights.columns();
  std::size_t const rows =
      at_most(weights.rows(), at_least(1, panel_numbers / at_least(1, columns)));
  scratch<bfloat16> panel(rows * columns);
  for (std::size_t first = 0; first < weights.rows(); first += rows) {
    std::size_t const count = at_most(rows, weights.rows() - first);
    threads.for_each_block(count, 64, [&](std::size_t begin, std::size_t end) {
      scratch<float> numbers(columns);
      for (std::size_t r = begin; r != end; ++r) {
        weights.read_rows(first + r, 1, numbers.data(), columns);
        round_to_bfloat16(numbers.data(), columns, panel.data() + r * columns);
      }
    });
    f(first, count, panel.data());
  }
}

/// Rows of activations rounded to bfloat16, by all threads.
inline scratch<bfloat16> rounded_rows(executor threads, std::size_t count, float const* from) {
  scratch<bfloat16> out(count);
  threads.for_each_block(count, elementwise_block, [&](std::size_t begin, std::size_t end) {
    round_to_bfloat16(from + begin, end - begin, out.data() + begin);
  });
  return out;
}

}  // namespace detail

/// y[rows, out] = x[rows, in] weights', or added to y.
///
/// Errors  precondition_error for bf16 with a library, or with a T, that has none
template <std::floating_point T>
void multiply_by_weights(arithmetic<T> const& how, std::size_t rows, T const* x,
                         weight_matrix<T> const& weights, T* y, bool add) {
  std::size_t const in = weights.columns(), out = weights.rows();
  auto const fill = [&](auto p) {
    p.rows = rows;
    p.depth = p.left_stride = p.right_stride = in;
    p.right_transposed = true;
    p.to_stride = out;
    p.add = add;
    return p;
  };
  if (how.weights == compute_type::bf16) {
    how.by.expects_bfloat16();
    if constexpr (std::same_as<T, float>) {
      auto const rounded = detail::rounded_rows(how.threads, rows * in, x);
      detail::for_each_bfloat16_panel(
          how.threads, weights, [&](std::size_t first, std::size_t count, bfloat16 const* panel) {
            detail::multiply_in_chunks(
                how,
                fill(bfloat16_product{
                    .columns = count, .left = rounded.data(), .right = panel, .to = y + first}));
          });
    }
    return;
  }
  detail::for_each_panel(
      how.threads, weights, [&](std::size_t first, std::size_t count, T const* panel) {
        detail::multiply_in_chunks(
            how, fill(product<T>{.columns = count, .left = x, .right = panel, .to = y + first}));
      });
}

/// dx[rows, in] = dy[rows, out] weights, or added to dx.
///
/// Errors  as for multiply_by_weights
template <std::floating_point T>
void multiply_back_by_weights(arithmetic<T> const& how, std::size_t rows, T const* dy,
                              weight_matrix<T> const& weights, T* dx, bool add) {
  std::size_t const in = weights.columns(), out = weights.rows();
  auto const fill = [&](auto p, std::size_t first) {
    p.rows = rows;
    p.columns = p.right_stride = p.to_stride = in;
    p.left_stride = out;
    p.to = dx;
    p.add = add || first != 0;
    return p;
  };
  if (how.weights == compute_type::bf16) {
    how.by.expects_bfloat16();
    if constexpr (std::same_as<T, float>) {
      auto const rounded = detail::rounded_rows(how.threads, rows * out, dy);
      detail::for_each_bfloat16_panel(
          how.threads, weights, [&](std::size_t first, std::size_t count, bfloat16 const* panel) {
            detail::multiply_in_chunks(how, fill(bfloat16_product{.depth = count,
                                                                  .left = rounded.data() + first,
                                                                  .right = panel},
                                                 first));
          });
    }
    return;
  }
  detail::for_each_panel(
      how.threads, weights, [&](std::size_t first, std::size_t count, T const* panel) {
        detail::multiply_in_chunks(
            how, fill(product<T>{.depth = count, .left = dy + first, .right = panel}, first));
      });
}

/// dw[out, in] += dy[rows, out]' x[rows, in], for each group of rows [group[g], group[g + 1]) in a product of its own, one
/// after the other.
template <std::floating_point T>
void add_weight_gradient(arithmetic<T> const& how, std::span<std::size_t const> group, T const* dy,
                         T const* x, std::size_t out, std::size_t in, T* dw) {
  detail::even_parts const of_out(out, detail::rows_per_chunk, 16);
  detail::even_parts const of_in(in, detail::columns_per_chunk, 16);
  how.threads.for_each_chunk(of_out.count() * of_in.count(), [&](std::size_t chunk) {
    std::size_t const o = chunk % of_out.count(), i = chunk / of_out.count();
    product<T> p{.rows = of_out.length(o),
                 .columns = of_in.length(i),
                 .left_stride = out,
                 .left_transposed = true,
                 .right_stride = in,
                 .to = dw + of_out.begin(o) * in + of_in.begin(i),
                 .to_stride = in,
                 .add = true};
    for (std::size_t g = 0; g + 1 < group.size(); ++g) {
      p.depth = group[g + 1] - group[g];
      p.left = dy + group[g] * out + of_out.begin(o);
      p.right = x + group[g] * in + of_in.begin(i);
      how.by.multiply(p);
    }
  });
}
/// The same of all rows in one product.
template <std::floating_point T>
void add_weight_gradient(arithmetic<T> const& how, std::size_t rows, T const* dy, T const* x,
                         std::size_t out, std::size_t in, T* dw) {
  std::size_t const all[] = {0, rows};
  add_weight_gradient(how, all, dy, x, out, in, dw);
}

}  // namespace prefer::inline v0_1::lm
