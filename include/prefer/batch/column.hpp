// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/batch/strided.hpp>

namespace prefer::inline v0_1 {

/// Lets a foreign type of numbers in memory be a column. An adapter specialises it with
///
///   static std::span<T const> numbers(X const&);  // or strided<T const>, where they do not follow each other
///   static std::span<T> numbers(X&);              // where results may be written to it
///   static constexpr bool borrowed = true;        // where an X is a view, and a column of a passing one is sound
///
/// and need not for a contiguous range of the standard library's kind: those are columns as they are. An adapter whose
/// types look like columns and are none says `static constexpr bool refused = true` for them, and has an as_column that
/// says why.
template <class X>
struct column_traits {};

template <class T>
struct column_traits<strided<T>> {
  static constexpr bool borrowed = true;
  static constexpr strided<T> numbers(strided<T> const& view) { return view; }
};

template <detail::mdspan_column X>
struct column_traits<X> {
  static constexpr bool borrowed = true;
  static strided<typename X::element_type> numbers(X const& view) {
    return {view.data_handle(), static_cast<std::size_t>(view.extent(0)),
            static_cast<std::ptrdiff_t>(view.stride(0))};
  }
};
/// Of several dimensions, or of other elements.
template <detail::mdspan_like X>
  requires(!detail::mdspan_column<X>)
struct column_traits<X> {
  static constexpr bool refused = true;
};

namespace detail {

/// Ranges that are known to be contiguous: the concepts of the standard library find that out anew for every type, which
/// is dearer than all else about a column.
template <class R>
inline constexpr bool known_as_contiguous = std::is_array_v<R>;
template <class T, class Allocator>
inline constexpr bool known_as_contiguous<std::vector<T, Allocator>> = true;
template <class T, std::size_t N>
inline constexpr bool known_as_contiguous<std::array<T, N>> = true;
template <class T, std::size_t N>
inline constexpr bool known_as_contiguous<std::span<T, N>> = true;

// Variables, and not parts of the concepts below: a compiler takes every concept that a constraint is made of apart before
// it looks at the first, and the concepts of ranges are made of very many.
template <class R>
inline constexpr bool found_contiguous =
    std::ranges::contiguous_range<R> && std::ranges::sized_range<R>;
template <class R>
inline constexpr bool found_range = std::ranges::range<R>;

template <class R>
concept contiguous_sized = known_as_contiguous<std::remove_const_t<R>> || found_contiguous<R>;

template <class R>
concept contiguous_numbers = contiguous_sized<R> && requires(R& range) {
  requires is_element<std::remove_cvref_t<decltype(*std::data(range))>>;
};

template <class R>
concept in_memory = is_strided<R> || contiguous_numbers<R>;

template <class R>
concept numbers_by_traits = requires(R& r) {
  { column_traits<std::remove_cvref_t<R>>::numbers(r) } -> in_memory;
};

template <class R>
concept refused_by_traits = requires { requires column_traits<std::remove_cv_t<R>>::refused; };

// What an adapter says of a type goes before what the type looks like.
template <class R>
concept column_source = numbers_by_traits<R> || (contiguous_numbers<R> && !refused_by_traits<R>);

template <class R>
constexpr auto numbers_of(R& range) {
  if constexpr (is_strided<std::remove_const_t<R>>) {
    return range;
  } else if constexpr (numbers_by_traits<R>) {
    auto const numbers = column_traits<std::remove_cvref_t<R>>::numbers(range);
    return numbers_of(numbers);
  } else {
    using T = std::remove_reference_t<decltype(*std::data(range))>;
    return strided<T>(std::data(range), static_cast<std::size_t>(std::size(range)));
  }
}

template <class R>
using number_of = typename decltype(numbers_of(std::declval<R&>()))::element_type;

template <class R>
concept writable_column_source =
    column_source<R> && !std::is_const_v<number_of<R>> && holds_results(element_of<number_of<R>>);

// What looks like a column and is none: the constructors are deleted, with the reason.
template <class R>
concept not_a_column = !column_source<R> && !refused_by_traits<R> && found_range<R>;
template <class R>
concept not_a_writable_column =
    !writable_column_source<R> && !refused_by_traits<R> && found_range<R>;

/// Numbers that end where the statement does that makes them, and would leave a column of them pointing to nothing.
template <class R>
concept passing_numbers = !std::is_lvalue_reference_v<R> && column_source<R> &&
                          !std::ranges::enable_borrowed_range<std::remove_cv_t<R>> &&
                          !requires { requires column_traits<std::remove_cv_t<R>>::borrowed; };

}  // namespace detail

/// A view of numbers in memory: one per completion, or one per pair.
///
/// Made from any contiguous range of float or double (vectors, arrays, spans), of `half` or
/// `bfloat16`, and for labels and lengths also of bool or int; from `strided` numbers, and from a std::mdspan of one
/// dimension. Nothing is copied, so the range must outlive the column. What a function
/// returns is given a name first: a column of a temporary vector does not compile, not even where it would be read in
/// the same statement.
/// A default-constructed column is absent; one made from an empty range is present and empty.
class column {
 public:
  using offsets = std::span<std::size_t const>;  ///< where lists of columns like this begin and end

  constexpr column() = default;

  template <class R>
    requires(!std::same_as<std::remove_cvref_t<R>, column> && detail::column_source<R const>)
  constexpr column(R const& range)  // NOLINT(google-explicit-constructor): ranges are columns
      : column(detail::numbers_of(range), 0) {}
  // clang-format off
  template <detail::passing_numbers R>
  column(R const&&) = delete;  // prefer: a column does not keep the numbers of a temporary: give them a name first
  template <detail::not_a_column R>
  column(R const&) = delete;  // prefer: a column is float, double or of 16 bits, in memory (labels: bool, lengths: int)
  template <detail::refused_by_traits R>
  column(R const&) = delete;  // prefer: this is no column as it is; as_column of its adapter says why
  // clang-format on

  [[nodiscard]] constexpr bool present() const { return present_; }
  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  [[nodiscard]] constexpr storage stored_as() const { return element_; }

  /// Element i as double, whatever it is stored as.
  [[nodiscard]] double operator[](std::size_t i) const {
    return detail::with_element(element_, [&]<class E>(E) {
      return static_cast<double>(
          detail::load_element<E>(data_, static_cast<std::ptrdiff_t>(i) * stride_));
    });
  }

  /// The elements from `begin` on where they are stored as T, one after another; else null.
  template <class T>
  [[nodiscard]] T const* direct(std::size_t begin) const {
    return element_ == detail::element_of<T> && stride_ == 1 ? static_cast<T const*>(data_) + begin
                                                             : nullptr;
  }
  /// Elements [begin, begin + count) as T: in place where they are stored so, else converted into `room`.
  template <class T>
  [[nodiscard]] T const* as(std::size_t begin, std::size_t count, T* room) const {
    if (T const* const in_place = direct<T>(begin)) return in_place;
    detail::with_element(element_, [&]<class E>(E) {
      detail::load_elements<E>(data_, static_cast<std::ptrdiff_t>(begin), stride_,
                               static_cast<std::ptrdiff_t>(count), room);
    });
    return room;
  }

 private:
  template <class T>
  constexpr column(strided<T> numbers, int)
      : data_(numbers.data()),
        size_(numbers.size()),
        stride_(numbers.stride()),
        element_(detail::element_of<std::remove_const_t<T>>),
        present_(true) {}

  void const* data_ = nullptr;
  std::size_t size_ = 0;
  std::ptrdiff_t stride_ = 1;
  storage element_ = storage::float64;
  bool present_ = false;
};

/// Where results go: writable numbers in memory, or nothing. In 16 bits they are rounded to the nearest.
class mutable_column {
 public:
  constexpr mutable_column() = default;

  template <class R>
    requires(!std::same_as<std::remove_cvref_t<R>, mutable_column> &&
             detail::writable_column_source<std::remove_reference_t<R>> &&
             !detail::passing_numbers<R>)
  constexpr mutable_column(R&& range)  // NOLINT: a view of the caller's range, never forwarded
      : mutable_column(detail::numbers_of(range), 0) {}
  // clang-format off
  template <class R>
    requires(!std::same_as<std::remove_cvref_t<R>, mutable_column> &&
             detail::not_a_writable_column<std::remove_reference_t<R>>)
  mutable_column(R&&) = delete;  // prefer: results are written to float, double or 16 bits in memory, not const
  template <detail::passing_numbers R>
  mutable_column(R&&) = delete;  // prefer: results in a temporary are lost: give it a name first
  template <class R>
    requires detail::refused_by_traits<std::remove_reference_t<R>>
  mutable_column(R&&) = delete;  // prefer: results have no place in it as it is; as_column of its adapter says why
  // clang-format on

  [[nodiscard]] constexpr bool present() const { return present_; }
  [[nodiscard]] constexpr std::size_t size() const { return size_; }

  /// Where T results for [begin, ...) can be written directly, one after another; else null.
  template <class T>
  [[nodiscard]] T* direct(std::size_t begin) const {
    return element_ == detail::element_of<T> && stride_ == 1 ? static_cast<T*>(data_) + begin
                                                             : nullptr;
  }
  template <class T>
  void assign(std::size_t begin, std::size_t count, T const* from) const {
    detail::with_element(element_, [&]<class E>(E) {
      if constexpr (detail::holds_results(detail::element_of<E>)) {
        detail::store_elements<E>(data_, static_cast<std::ptrdiff_t>(begin), stride_,
                                  static_cast<std::ptrdiff_t>(count), from);
      }
    });
  }

 private:
  template <class T>
  constexpr mutable_column(strided<T> numbers, int)
      : data_(numbers.data()),
        size_(numbers.size()),
        stride_(numbers.stride()),
        element_(detail::element_of<T>),
        present_(true) {}

  void* data_ = nullptr;
  std::size_t size_ = 0;
  std::ptrdiff_t stride_ = 1;
  storage element_ = storage::float64;
  bool present_ = false;
};

/// A view like std::mdspan as a column, where a wrong one is told why; a right one converts by itself.
template <detail::mdspan_like X>
[[nodiscard]] column as_column(X const& view) {
  static_assert(
      X::rank() == 1,
      "prefer: a column has one dimension; take a submdspan, or strided(pointer, n, stride)");
  static_assert(
      detail::is_element<std::remove_const_t<typename X::element_type>>,
      "prefer: a column's numbers are float, double or of 16 bits (labels: bool, lengths: int)");
  if constexpr (detail::mdspan_column<X>) {
    return column(view);
  } else {
    return {};
  }
}

namespace check {

/// For the first line of a "bring your own numbers" file: static_assert(prefer::check::column<my_vector>());
template <class X>
consteval bool column() {
  static_assert(detail::column_source<X const>,
                "prefer: this type is no column: it is no contiguous range of numbers, and has "
                "no column_traits; include its adapter, or specialise column_traits");
  return true;
}

}  // namespace check

}  // namespace prefer::inline v0_1
