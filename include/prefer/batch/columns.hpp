// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/scalar/probe.hpp>

namespace prefer {

/// What a column's elements are stored as.
enum class storage : std::uint8_t { float32, float64, boolean, int32 };

/// Lets a foreign type of contiguous numbers be a column. An adapter specialises it with
///
///   static std::span<T const> numbers(X const&);
///   static std::span<T> numbers(X&);              // where results may be written to it
///
/// and need not for a contiguous range of the standard library's kind: those are columns as they are.
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

template <class R>
concept contiguous_numbers =
    std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
    is_element<std::remove_cv_t<std::remove_reference_t<std::ranges::range_reference_t<R>>>>;

template <class R>
concept numbers_by_traits = requires(R& r) {
  { column_traits<std::remove_cvref_t<R>>::numbers(r) } -> contiguous_numbers;
};

template <class R>
concept column_source = contiguous_numbers<R> || numbers_by_traits<R>;

template <class R>
constexpr auto numbers_of(R& range) {
  if constexpr (contiguous_numbers<R>) {
    return std::span(std::ranges::data(range), static_cast<std::size_t>(std::ranges::size(range)));
  } else {
    return column_traits<std::remove_cvref_t<R>>::numbers(range);
  }
}

template <class R>
using number_of = typename decltype(numbers_of(std::declval<R&>()))::element_type;

template <class R>
concept writable_column_source =
    column_source<R> && (std::same_as<number_of<R>, float> || std::same_as<number_of<R>, double>);

/// Ranges that look like a column and are none: their constructors are deleted, with the reason.
template <class R>
concept not_a_column = std::ranges::range<R> && !column_source<R>;
template <class R>
concept not_a_writable_column = std::ranges::range<R> && !writable_column_source<R>;

}  // namespace detail

/// A view of numbers that lie one after another in memory: one per completion, or one per pair.
///
/// Made from any contiguous range of float or double (vectors, arrays, spans, mapped Eigen arrays), and
/// for labels and lengths also of bool or int; nothing is copied, so the range must outlive the column.
/// A default-constructed column is absent; one made from an empty range is present and empty.
class column {
 public:
  constexpr column() = default;

  template <class R>
    requires(!std::same_as<std::remove_cvref_t<R>, column> && detail::column_source<R const>)
  constexpr column(R const& range)  // NOLINT(google-explicit-constructor): ranges are columns
      : column(detail::numbers_of(range), 0) {}
  // clang-format off
  template <detail::not_a_column R>
  column(R const&) = delete;  // prefer: a column is contiguous float or double (labels: bool, lengths: int)
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
  constexpr column(std::span<T> numbers, int)
      : data_(numbers.data()),
        size_(numbers.size()),
        element_(detail::element_of<std::remove_const_t<T>>),
        present_(true) {}

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
             detail::writable_column_source<std::remove_reference_t<R>>)
  constexpr mutable_column(R&& range)  // NOLINT: a view of the caller's range, never forwarded
      : mutable_column(detail::numbers_of(range), 0) {}
  // clang-format off
  template <class R>
    requires(!std::same_as<std::remove_cvref_t<R>, mutable_column> &&
             detail::not_a_writable_column<std::remove_reference_t<R>>)
  mutable_column(R&&) = delete;  // prefer: results are written to contiguous float or double, not const
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
  constexpr mutable_column(std::span<T> numbers, int)
      : data_(numbers.data()),
        size_(numbers.size()),
        element_(detail::element_of<T>),
        present_(true) {}

  void* data_ = nullptr;
  std::size_t size_ = 0;
  storage element_ = storage::float64;
  bool present_ = false;
};

/// A mean in two halves, so that parts of a batch (threads, processes) can be added up before dividing.
struct sum_and_count {
  double sum = 0.0;
  double count = 0.0;

  friend sum_and_count operator+(sum_and_count a, sum_and_count b) {
    return {a.sum + b.sum, a.count + b.count};
  }
  /// 0 for an empty batch.
  [[nodiscard]] double mean() const { return count > 0.0 ? sum / count : 0.0; }
};

namespace detail {

constexpr void add_if(bool present, column_name name, column_set& set) {
  if (present) set = set | name;
}
[[nodiscard]] inline double log_ratio(column const& policy, column const& reference,
                                      std::size_t i) {
  return policy[i] - (reference.present() ? reference[i] : 0.0);
}

}  // namespace detail

/// Sum and count of a batch from those of its parts, one per process.
template <Communicator Processes>
[[nodiscard]] sum_and_count over_processes(sum_and_count part, Processes const& processes) {
  double both[] = {part.sum, part.count};
  processes.all_sum(both);
  return {both[0], both[1]};
}

/// One number for each pair's chosen and rejected completion.
struct completions {
  column chosen;
  column rejected;

  [[nodiscard]] bool present() const { return chosen.present() && rejected.present(); }
};

/// B preference pairs as columns of numbers. Absent columns are left out.
struct pair_columns {
  completions policy;          ///< log_prob, nats [B]
  completions reference = {};  ///< log_prob, nats [B]
  completions length = {};     ///< completion tokens that count [B]
  completions score = {};      ///< reward, or probability of winning, of each completion [B]
  completions divergence =
      {};                      ///< KL of the policy's token distributions, nats; has a gradient [B]
  completions alignment = {};  ///< mean log-probability of a token over its expectation, nats [B]
  completions perturbed_toward =
      {};  ///< log_prob of the policy moved towards the reference, nats [B]
  completions perturbed_away =
      {};                     ///< log_prob of the policy moved away from the reference, nats [B]
  column weight = {};         ///< multiplies each pair's loss [B]; the mean still divides by B
  column beta = {};           ///< one beta per pair, in place of the loss's own [B]
  column target_margin = {};  ///< the margin asked for, per pair, nats [B]
  column chosen_from_reference =
      {};               ///< true or > 0: the reference wrote chosen, the policy rejected [B]
  column uniform = {};  ///< a random number in [0, 1) per pair [B]

  [[nodiscard]] std::size_t size() const { return policy.chosen.size(); }
  [[nodiscard]] column_set available() const {
    column_set set;
    detail::add_if(policy.present(), column_name::policy, set);
    detail::add_if(reference.present(), column_name::reference, set);
    detail::add_if(length.present(), column_name::length, set);
    detail::add_if(score.present(), column_name::score, set);
    detail::add_if(divergence.present(), column_name::divergence, set);
    detail::add_if(alignment.present(), column_name::alignment, set);
    detail::add_if(perturbed_toward.present() && perturbed_away.present(), column_name::perturbed,
                   set);
    detail::add_if(beta.present(), column_name::beta, set);
    detail::add_if(target_margin.present(), column_name::target_margin, set);
    detail::add_if(chosen_from_reference.present(), column_name::chosen_from_reference, set);
    detail::add_if(uniform.present(), column_name::uniform, set);
    return set;
  }
  /// Nats, for batch statistics; without a reference its log-probabilities are 0.
  [[nodiscard]] double chosen_log_ratio(std::size_t i) const {
    return detail::log_ratio(policy.chosen, reference.chosen, i);
  }
  [[nodiscard]] double rejected_log_ratio(std::size_t i) const {
    return detail::log_ratio(policy.rejected, reference.rejected, i);
  }
};

/// A policy's and a reference's log-probabilities of the same completions.
struct scored_completions {
  column policy = {};
  column reference = {};
};

/// B unpaired completions, each labelled desirable or not.
struct unpaired_columns {
  column policy;                        ///< log_prob, nats [B]
  column reference = {};                ///< log_prob, nats [B]
  column label = {};                    ///< true or > 0: desirable [B]
  column length = {};                   ///< completion tokens that count [B]
  column score = {};                    ///< reward, or probability of winning [B]
  column weight = {};                   ///< multiplies each example's loss [B]
  column beta = {};                     ///< one beta per example [B]
  scored_completions kl_examples = {};  ///< completions of other prompts, for KTO's baseline [M]

  [[nodiscard]] std::size_t size() const { return policy.size(); }
  [[nodiscard]] column_set available() const {
    column_set set;
    detail::add_if(policy.present(), column_name::policy, set);
    detail::add_if(reference.present(), column_name::reference, set);
    detail::add_if(label.present(), column_name::label, set);
    detail::add_if(length.present(), column_name::length, set);
    detail::add_if(score.present(), column_name::score, set);
    detail::add_if(beta.present(), column_name::beta, set);
    return set;
  }
  /// Sum and count of the KL examples' log_ratio, added in order.
  [[nodiscard]] sum_and_count kl_log_ratio() const {
    if (!kl_examples.policy.present() || !kl_examples.reference.present()) {
      detail::broken(
          "unpaired_columns: this loss takes its baseline from KL examples; give "
          "kl_examples.policy and kl_examples.reference");
    }
    expects_size(kl_examples.reference.size(), kl_examples.policy.size(), "unpaired_columns",
                 "kl_examples.reference");
    sum_and_count total;
    for (std::size_t i = 0; i < kl_examples.policy.size(); ++i) {
      total = total + sum_and_count{kl_examples.policy[i] - kl_examples.reference[i], 1.0};
    }
    return total;
  }
};

/// G ragged lists of completions of one prompt each. List g is [offset[g], offset[g + 1]) of every column.
struct list_columns {
  column policy;                             ///< log_prob, nats [N]
  column reference = {};                     ///< log_prob, nats [N]
  column length = {};                        ///< completion tokens that count [N]
  column score = {};                         ///< reward of each completion [N]
  std::span<std::size_t const> offset = {};  ///< [G + 1], ascending, from 0 to N
  column weight = {};                        ///< multiplies each list's loss [G]
  column beta = {};                          ///< one beta per list [G]

  [[nodiscard]] std::size_t size() const { return offset.empty() ? 0 : offset.size() - 1; }
  [[nodiscard]] column_set available() const {
    column_set set;
    detail::add_if(policy.present(), column_name::policy, set);
    detail::add_if(reference.present(), column_name::reference, set);
    detail::add_if(length.present(), column_name::length, set);
    detail::add_if(score.present(), column_name::score, set);
    detail::add_if(beta.present(), column_name::beta, set);
    return set;
  }
};

/// A batch that promises at compile time which columns it has, so that a loss which reads another one is
/// a compile error. The promise is checked against the columns once, when it is made.
///
///   using sums_only = with_columns<column_name::policy | column_name::reference, pair_columns>;
template <column_set Promised, class Columns>
class with_columns {
 public:
  static constexpr column_set promised = Promised;

  explicit with_columns(Columns const& columns) : columns_(columns) {
    if (!columns.available().contains(Promised)) {
      detail::broken("with_columns: promised " + to_string(Promised) +
                     "; missing: " + to_string(Promised - columns.available()));
    }
  }
  [[nodiscard]] Columns const& columns() const { return columns_; }

 private:
  Columns columns_;
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
