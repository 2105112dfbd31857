// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace prefer {

/// What a column's elements are stored as.
enum class storage : std::uint8_t { float32, float64, boolean, int32 };

/// Lets a foreign type of contiguous numbers be a column. An adapter specialises it with
///
///   static std::span<T const> numbers(X const&);
///   static std::span<T> numbers(X&);              // where results may be written to it
///   static constexpr bool borrowed = true;        // where an X is a view, and a column of a passing one is sound
///
/// and need not for a contiguous range of the standard library's kind: those are columns as they are. An adapter whose
/// types look like columns and are none says `static constexpr bool refused = true` for them, and has an as_column that
/// says why.
template <class X>
struct column_traits {};

namespace detail {

template <class T>
inline constexpr bool is_element = std::same_as<T, float> || std::same_as<T, double> ||
                                   std::same_as<T, bool> || std::same_as<T, std::int32_t>;
template <class T>
inline constexpr storage element_of = std::same_as<T, float>    ? storage::float32
                                      : std::same_as<T, double> ? storage::float64
                                      : std::same_as<T, bool>   ? storage::boolean
                                                                : storage::int32;

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

template <class R>
concept contiguous_sized = known_as_contiguous<std::remove_const_t<R>> ||
                           (std::ranges::contiguous_range<R> && std::ranges::sized_range<R>);

template <class R>
concept contiguous_numbers = contiguous_sized<R> && requires(R& range) {
  requires is_element<std::remove_cvref_t<decltype(*std::data(range))>>;
};

template <class S>
inline constexpr bool is_span_of_numbers = false;
template <class T, std::size_t N>
inline constexpr bool is_span_of_numbers<std::span<T, N>> = is_element<std::remove_const_t<T>>;

template <class R>
concept numbers_by_traits = requires(R& r) {
  requires is_span_of_numbers<decltype(column_traits<std::remove_cvref_t<R>>::numbers(r))>;
};

template <class R>
concept column_source = contiguous_numbers<R> || numbers_by_traits<R>;

template <class T>
struct counted_numbers {
  T* first;
  std::size_t count;
};

template <class R>
constexpr auto numbers_of(R& range) {
  if constexpr (contiguous_numbers<R>) {
    using T = std::remove_reference_t<decltype(*std::data(range))>;
    return counted_numbers<T>{std::data(range), static_cast<std::size_t>(std::size(range))};
  } else {
    auto const span = column_traits<std::remove_cvref_t<R>>::numbers(range);
    using T = typename std::remove_const_t<decltype(span)>::element_type;
    return counted_numbers<T>{span.data(), span.size()};
  }
}

template <class R>
using number_of = std::remove_pointer_t<decltype(numbers_of(std::declval<R&>()).first)>;

template <class R>
concept writable_column_source =
    column_source<R> && (std::same_as<number_of<R>, float> || std::same_as<number_of<R>, double>);

// What looks like a column and is none: the constructors are deleted, with the reason.
template <class R>
concept refused_by_traits = requires { requires column_traits<std::remove_cv_t<R>>::refused; };
template <class R>
concept not_a_column = !column_source<R> && !refused_by_traits<R> && std::ranges::range<R>;
template <class R>
concept not_a_writable_column =
    !writable_column_source<R> && !refused_by_traits<R> && std::ranges::range<R>;

/// Numbers that end where the statement does that makes them, and would leave a column of them pointing to nothing.
template <class R>
concept passing_numbers =
    !std::is_lvalue_reference_v<R> && column_source<R> &&
    !std::ranges::enable_borrowed_range<std::remove_cv_t<R>> &&
    !requires { requires column_traits<std::remove_cv_t<R>>::borrowed; };

}  // namespace detail

/// A view of numbers that lie one after another in memory: one per completion, or one per pair.
///
/// Made from any contiguous range of float or double (vectors, arrays, spans, mapped Eigen arrays), and
/// for labels and lengths also of bool or int; nothing is copied, so the range must outlive the column. What a function
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
      : column(detail::numbers_of(range)) {}
  /// `count` numbers that lie in memory from `first` on.
  template <class T>
    requires detail::is_element<T>
  constexpr column(T const* first, std::size_t count)
      : data_(first), size_(count), element_(detail::element_of<T>), present_(true) {}
  // clang-format off
  template <detail::passing_numbers R>
  column(R const&&) = delete;  // prefer: a column does not keep the numbers of a temporary: give them a name first
  template <detail::not_a_column R>
  column(R const&) = delete;  // prefer: a column is contiguous float or double (labels: bool, lengths: int)
  template <detail::refused_by_traits R>
  column(R const&) = delete;  // prefer: this is no column as it is; as_column of its adapter says why
  // clang-format on

  [[nodiscard]] constexpr bool present() const { return present_; }
  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  [[nodiscard]] constexpr storage stored_as() const { return element_; }

  /// Element i as double, whatever it is stored as.
  [[nodiscard]] double operator[](std::size_t i) const {
    switch (element_) {
      case storage::float32:
        return static_cast<double>(static_cast<float const*>(data_)[i]);
      case storage::float64:
        return static_cast<double const*>(data_)[i];
      case storage::boolean:
        return static_cast<bool const*>(data_)[i] ? 1.0 : 0.0;
      case storage::int32:
        return static_cast<double>(static_cast<std::int32_t const*>(data_)[i]);
    }
    return 0.0;
  }

  /// The elements from `begin` on where they are stored as T; null if they are stored differently.
  template <class T>
  [[nodiscard]] T const* direct(std::size_t begin) const {
    return element_ == detail::element_of<T> ? static_cast<T const*>(data_) + begin : nullptr;
  }
  /// Elements [begin, begin + count) as T: in place where they are stored so, else converted into `room`.
  template <class T>
  [[nodiscard]] T const* as(std::size_t begin, std::size_t count, T* room) const {
    if (element_ == detail::element_of<T>) return static_cast<T const*>(data_) + begin;
    for (std::size_t i = 0; i < count; ++i) room[i] = static_cast<T>((*this)[begin + i]);
    return room;
  }

 private:
  template <class T>
  constexpr explicit column(detail::counted_numbers<T> numbers)
      : column(numbers.first, numbers.count) {}

  void const* data_ = nullptr;
  std::size_t size_ = 0;
  storage element_ = storage::float64;
  bool present_ = false;
};

/// Where results go: a writable range of float or double, or nothing.
class mutable_column {
 public:
  constexpr mutable_column() = default;

  template <class R>
    requires(!std::same_as<std::remove_cvref_t<R>, mutable_column> &&
             detail::writable_column_source<std::remove_reference_t<R>> &&
             !detail::passing_numbers<R>)
  constexpr mutable_column(R&& range)  // NOLINT: a view of the caller's range, never forwarded
      : mutable_column(detail::numbers_of(range)) {}
  /// Room for `count` numbers from `first` on.
  template <class T>
    requires std::same_as<T, float> || std::same_as<T, double>
  constexpr mutable_column(T* first, std::size_t count)
      : data_(first), size_(count), element_(detail::element_of<T>), present_(true) {}
  // clang-format off
  template <class R>
    requires(!std::same_as<std::remove_cvref_t<R>, mutable_column> &&
             detail::not_a_writable_column<std::remove_reference_t<R>>)
  mutable_column(R&&) = delete;  // prefer: results are written to contiguous float or double, not const
  template <detail::passing_numbers R>
  mutable_column(R&&) = delete;  // prefer: results in a temporary are lost: give it a name first
  template <class R>
    requires detail::refused_by_traits<std::remove_reference_t<R>>
  mutable_column(R&&) = delete;  // prefer: results have no place in it as it is; as_column of its adapter says why
  // clang-format on

  [[nodiscard]] constexpr bool present() const { return present_; }
  [[nodiscard]] constexpr std::size_t size() const { return size_; }

  /// Where T results for [begin, ...) can be written directly; null if they are stored differently.
  template <class T>
  [[nodiscard]] T* direct(std::size_t begin) const {
    return element_ == detail::element_of<T> ? static_cast<T*>(data_) + begin : nullptr;
  }
  template <class T>
  void assign(std::size_t begin, std::size_t count, T const* from) const {
    for (std::size_t i = 0; i < count; ++i) {
      if (element_ == storage::float32) {
        static_cast<float*>(data_)[begin + i] = static_cast<float>(from[i]);
      } else {
        static_cast<double*>(data_)[begin + i] = static_cast<double>(from[i]);
      }
    }
  }

 private:
  template <class T>
  constexpr explicit mutable_column(detail::counted_numbers<T> numbers)
      : mutable_column(numbers.first, numbers.count) {}

  void* data_ = nullptr;
  std::size_t size_ = 0;
  storage element_ = storage::float64;
  bool present_ = false;
};

namespace check {

/// For the first line of a "bring your own numbers" file: static_assert(prefer::check::column<my_vector>());
template <class X>
consteval bool column() {
  static_assert(
      detail::column_source<X const>,
      "prefer: this type is no column: it is no contiguous range of float or double, and has "
      "no column_traits; include its adapter, or specialise column_traits");
  return true;
}

}  // namespace check

}  // namespace prefer
