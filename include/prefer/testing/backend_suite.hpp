// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/testing/finding.hpp>
#include <prefer/testing/probing_formulas.hpp>

// What a backend owes by the semantics of the concept `Backend`, tried operation by operation against numbers whose results
// are known without it. For the tests of whoever writes one:
//
//   auto const found = prefer::testing::check_backend(my_backend(), [](std::vector<double> const& numbers) {
//     return my_tensor(numbers);   // a column of theirs, or what has one as view() as long as it lives
//   });
//   for (auto const& each : found) std::printf("%s\n", to_string(each).c_str());

namespace prefer::inline v0_1::testing {

namespace detail {

template <Backend B, class Upload>
class backend_suite : private findings {
 public:
  using column = typename B::column;
  using numbers = std::vector<double>;

  backend_suite(B const& on, Upload const& upload, suite_options options)
      : findings(options), on_(on), upload_(upload) {}

  [[nodiscard]] std::vector<finding> run() {
    attempt("column", [&] { columns(); });
    attempt("numbers", [&] { values(); });
    attempt("room", [&] { room(); });
    attempt("read", [&] { read(); });
    for (std::size_t const n : {1u, 37u, 2500u}) {
      attempt("for_each_record", [&] { records(n); });
    }
    attempt("for_each_record", [&] { every_column<basic_pair_columns>(); });
    attempt("for_each_record", [&] { every_column<basic_unpaired_columns>(); });
    attempt("for_each_record", [&] { absent_columns(); });
    attempt("for_each_list", [&] { lists(); });
    attempt("ascending", [&] { ascending(); });
    attempt("gather", [&] { gather(); });
    attempt("inverse", [&] { inverse(); });
    attempt("scatter", [&] { scatter(); });
    return take();
  }

 private:
  /// Numbers that float keeps exactly: eighths between -16 and 16 in no order.
  [[nodiscard]] static numbers eighths(std::size_t n, std::uint32_t seed) {
    numbers out(n);
    std::uint32_t state = seed * 2654435761u + 1u;
    for (double& x : out) {
      state = state * 1664525u + 1013904223u;
      x = static_cast<double>(state >> 24) / 8.0 - 16.0;
    }
    return out;
  }
  [[nodiscard]] static numbers counted(std::size_t n) {
    numbers out(n);
    for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<double>(i);
    return out;
  }

  [[nodiscard]] auto up(numbers const& from) const { return upload_(from); }
  template <class Owner>
  [[nodiscard]] static column view(Owner const& owner) {
    return view_of_uploaded<column>(owner);
  }
  [[nodiscard]] numbers down(column const& from) const {
    return on_.numbers(basic_unpaired_columns<column>{.policy = from}, its_log_prob{});
  }
  [[nodiscard]] double sum_of(typename B::number const& sum) const {
    return on_.read(std::array<typename B::number, 1>{sum})[0];
  }

  void columns() {
    expect(!column().present(), "a column that was never given is present");
    auto const owner = up(eighths(37, 1));
    expect(view(owner).present(), "a column of 37 numbers is absent");
    expect(view(owner).size() == 37, "a column of 37 numbers has another size");
  }

  void values() {
    for (std::size_t const n : {1u, 37u, 2500u}) {
      numbers const given = eighths(n, 2);
      auto const owner = up(given);
      expect_numbers(down(view(owner)), given, "a column's own numbers");
    }
    auto const owner =
        up({-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()});
    numbers const got = down(view(owner));
    expect(got.size() == 2 && std::isinf(got[0]) && std::isnan(got[1]),
           "minus infinity and NaN are not what they were");
  }

  void room() {
    auto made = on_.room(37);
    expect(made.view().present() && made.view().size() == 37,
           "room for 37 results has another size");
    expect(made.result().present(), "room cannot be written to");
    expect_numbers(down(made.view()), numbers(37, 0.0), "room that nothing was written to");
  }

  void read() {
    auto const a = up(numbers(3, 1.0));
    auto const b = up(numbers(3, 2.0));
    basic_pair_columns<column> const batch{.policy = {view(a), view(b)}};
    auto const sums =
        on_.for_each_record(batch, both_log_probs{}, std::array<typename B::result, 2>{});
    std::array<double, 2> const got = on_.read(sums);
    expect(is_near(got[0], sum_of(sums[0])) && is_near(got[1], sum_of(sums[1])),
           "two numbers read together are not what each is alone");
    std::array<double, 2> const swapped = on_.read(std::array{sums[1], sums[0]});
    expect(is_near(got[0], swapped[1]) && is_near(got[1], swapped[0]),
           "numbers are read in another order");
  }

  void records(std::size_t n) {
    numbers const chosen = eighths(n, 3), rejected = eighths(n, 4), weight = eighths(n, 5);
    auto const a = up(chosen);
    auto const b = up(rejected);
    auto const w = up(weight);
    basic_pair_columns<column> batch{.policy = {view(a), view(b)}};
    auto first = on_.room(n);
    auto second = on_.room(n);
    auto const sums =
        on_.for_each_record(batch, both_log_probs{},
                            std::array<typename B::result, 2>{first.result(), second.result()});
    expect_numbers(down(first.view()), chosen, "the first of two numbers of each record");
    expect_numbers(down(second.view()), rejected, "the second of two numbers of each record");
    double total[2] = {}, products = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      total[0] += chosen[i];
      total[1] += rejected[i];
      products += weight[i] * chosen[i];
    }
    expect_numbers({sum_of(sums[0]), sum_of(sums[1])}, {total[0], total[1]},
                   "the sums over records");

    auto const again =
        on_.for_each_record(batch, both_log_probs{}, std::array<typename B::result, 2>{});
    expect(sum_of(again[0]) == sum_of(sums[0]) && sum_of(again[1]) == sum_of(sums[1]),
           "sums are not the same bits, once with results and once without");
    auto only = on_.room(n);
    (void)on_.for_each_record(
        batch, both_log_probs{},
        std::array<typename B::result, 2>{typename B::result{}, only.result()});
    expect_numbers(down(only.view()), rejected, "the second number where the first is not wanted");

    expect_numbers({sum_of(on_.for_each_record(batch, weighted_log_prob{},
                                               std::array<typename B::result, 1>{})[0])},
                   {total[0]},
                   "the weight of each record of a batch without weights is 1: the sum");
    batch.weight = view(w);
    expect_numbers({sum_of(on_.for_each_record(batch, weighted_log_prob{},
                                               std::array<typename B::result, 1>{})[0])},
                   {products}, "the sum of weighted numbers");
  }

  /// A batch with every column, each with numbers of its own, looked at one by one.
  template <template <class> class Kind>
  void every_column() {
    constexpr std::size_t n = 37;
    Kind<column> batch{};
    std::vector<numbers> given;
    std::vector<decltype(up(numbers()))> owners;
    owners.reserve(64);
    prefer::detail::for_each_column(batch, [&](auto is, per each, column_side, column& one) {
      numbers own = eighths(n, static_cast<std::uint32_t>(10 + given.size()));
      if constexpr (is.rule == column_rule::truth) {
        for (double& x : own) x = x > 0.0 ? 1.0 : 0.0;
      }
      given.push_back(each == per::kl_example ? numbers() : own);
      if (each == per::kl_example) return;
      owners.push_back(up(own));
      one = view(owners.back());
    });
    std::size_t at = 0;
    prefer::detail::for_each_column(batch, [&](auto is, per each, column_side side, column const&) {
      numbers const& wanted = given[at++];
      if (each == per::kl_example || is.name == column_name::weight) return;
      auto const look = [&]<column_side Side>() {
        expect_numbers(
            on_.numbers(batch, member_of<is.name, Side>{}), wanted,
            "what a record has of the column " + prefer::detail::label_of(is.spelling, side));
      };
      if (side == column_side::chosen) look.template operator()<column_side::chosen>();
      if (side == column_side::rejected) look.template operator()<column_side::rejected>();
      if (side == column_side::only) look.template operator()<column_side::only>();
    });
  }

  void absent_columns() {
    auto const owner = up(eighths(37, 6));
    basic_pair_columns<column> const batch{.policy = {view(owner), view(owner)}};
    expect_numbers(on_.numbers(batch, defaults_of_pair{}), numbers(37, defaults_of_pair::expected),
                   "what a record has of columns that are absent");
  }

  void lists() {
    std::vector<std::size_t> const offset = {0, 3, 4, 9, 11};
    numbers const policy = eighths(11, 7), score = eighths(11, 8);
    numbers const weight = {1.0, 2.0, 0.5, 4.0};
    auto const p = up(policy);
    auto const s = up(score);
    auto const w = up(weight);
    basic_list_columns<column> batch{};
    batch.policy = view(p);
    batch.score = view(s);
    batch.weight = view(w);
    batch.offset = offset;
    auto of_lists = on_.room(4);
    auto of_completions = on_.room(11);
    auto const sum =
        on_.for_each_list(batch, list_differences{}, of_lists.result(), of_completions.result());
    numbers wanted_lists(4), wanted(11);
    double total = 0.0;
    for (std::size_t g = 0; g < 4; ++g) {
      for (std::size_t i = offset[g]; i < offset[g + 1]; ++i) {
        wanted[i] = policy[i] - 2.0 * score[offset[g + 1] - 1 - (i - offset[g])];
        wanted_lists[g] += weight[g] * wanted[i];
      }
      total += wanted_lists[g];
    }
    expect_numbers(down(of_lists.view()), wanted_lists, "the number of each list");
    expect_numbers(down(of_completions.view()), wanted, "the numbers of a list's completions");
    expect_numbers({sum_of(sum)}, {total}, "the sum over lists");
    auto const again = on_.for_each_list(batch, list_differences{}, {}, {});
    expect(sum_of(again) == sum_of(sum),
           "sums are not the same bits, once with results and once without");
  }

  [[nodiscard]] typename B::rows order_of(numbers const& by) const {
    auto const owner = up(by);
    return on_.ascending(basic_unpaired_columns<column>{.policy = view(owner)}, its_log_prob{});
  }
  [[nodiscard]] numbers gathered(numbers const& from, typename B::rows const& which) const {
    auto const owner = up(from);
    auto const out = on_.gather(view(owner), which);
    return down(out.view());
  }

  /// Rows of more than there is would be taken from memory that a backend does not have.
  [[nodiscard]] bool same_size(numbers const& got, numbers const& wanted) {
    expect(got.size() == wanted.size(), "as many rows as numbers give another number of numbers");
    return got.size() == wanted.size();
  }

  void ascending() {
    double const inf = std::numeric_limits<double>::infinity();
    double const nan = std::numeric_limits<double>::quiet_NaN();
    numbers const by = {2.0, nan, -1.0, 2.0, inf, -inf, -1.0, nan, 2.0};
    expect_numbers(gathered(counted(9), order_of(by)), {5, 2, 6, 0, 3, 8, 4, 1, 7},
                   "rows in ascending order, equal ones as they were and NaN last");
    numbers const many = eighths(2500, 9);
    numbers const sorted = gathered(many, order_of(many));
    numbers const rows = gathered(counted(2500), order_of(many));
    for (std::size_t i = 1; i < sorted.size() && i < rows.size(); ++i) {
      bool const in_order =
          sorted[i - 1] < sorted[i] || (sorted[i - 1] == sorted[i] && rows[i - 1] < rows[i]);
      expect(in_order, "2,500 rows are not in ascending order, equal ones as they were");
    }
  }

  void gather() {
    numbers const given = eighths(37, 11);
    numbers const backwards(given.rbegin(), given.rend());
    numbers falling = counted(37);
    for (double& x : falling) x = -x;
    expect_numbers(gathered(given, order_of(falling)), backwards, "numbers in the opposite order");
    // Rows of rows: a[b[i]], which for these two orders is not b[a[i]].
    auto const a = order_of(eighths(37, 12));
    auto const b = order_of(eighths(37, 13));
    numbers const once = gathered(given, a);
    if (!same_size(once, given)) return;
    expect_numbers(gathered(given, on_.gather(a, b)), gathered(once, b),
                   "numbers by rows that were gathered");
  }

  void inverse() {
    numbers const given = eighths(37, 14);
    auto const order = order_of(eighths(37, 15));
    numbers const once = gathered(given, order);
    if (!same_size(once, given)) return;
    expect_numbers(gathered(once, on_.inverse(order)), given,
                   "numbers by an order and back by its inverse");
  }

  void scatter() {
    numbers const given = eighths(37, 16);
    auto const order = order_of(eighths(37, 17));
    numbers const once = gathered(given, order);
    if (!same_size(once, given)) return;
    auto const owner = up(once);
    auto const back = on_.scatter(view(owner), order);
    expect_numbers(down(back.view()), given, "numbers by an order, scattered back");
  }

  B const& on_;
  Upload const& upload_;
};

}  // namespace detail

/// What is wrong with a backend, operation by operation; nothing where it keeps to the semantics of `Backend`.
///
/// `upload(numbers)` makes a column of a std::vector<double>: a B::column, or an object with a view() that is one as long
/// as it lives. What throws is a finding, too
template <Backend B, class Upload>
[[nodiscard]] std::vector<finding> check_backend(B const& on, Upload const& upload,
                                                 suite_options options = {}) {
  return detail::backend_suite<B, Upload>(on, upload, options).run();
}

}  // namespace prefer::inline v0_1::testing
