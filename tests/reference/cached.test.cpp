// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <prefer/batch/minibatch.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>
#include <support/file_size_limit.hpp>
#include <support/temporary_folder.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::cached;
using prefer::choice_batch;
using prefer::choice_data;
using small::message_of;
using small::state_of;

namespace {

using table = prefer::tabular<double>;

// Numbers that depend on the row as well: only a batch that says its rows gets the right ones.
struct by_row {
  using value_type = double;
  void log_prob(choice_batch const& batch, std::span<double> out) const {
    prefer::expects_size(batch.row.size(), batch.size(), "by_row", "row");
    for (std::size_t g = 0; g < batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i < batch.offset[g + 1]; ++i) {
        out[i] = -static_cast<double>(10 * batch.row[g] + batch.completion[i]) -
                 (batch.kl_examples ? 0.5 : 0.0);
      }
    }
  }
};

// All rows of a data set in one batch, in an order of their own.
struct shuffled {
  prefer::choice_minibatch batch;
  explicit shuffled(choice_data const& data) {
    std::vector<std::uint32_t> rows(data.size());
    for (std::uint32_t i = 0; i < rows.size(); ++i) {
      rows[i] = static_cast<std::uint32_t>((i * 3 + 1) % rows.size());
    }
    batch.gather(data, rows);
  }
};

template <class T, class R>
std::vector<T> log_probs(R& reference, choice_batch const& batch) {
  std::vector<T> out(batch.completions());
  reference.log_prob(batch, out);
  return out;
}

}  // namespace

TEMPLATE_TEST_CASE("cached: says the same bits as what it was made of", "[reference][cached]",
                   prefer::tabular<float>, prefer::tabular<double>,
                   prefer::matrix_factorization<float>, prefer::log_linear<double>) {
  using T = typename TestType::value_type;
  // More rows than are scored at once (1,024), so that rows of the second piece are looked up too.
  for (choice_data const& data : {small::pairs(2500), small::labelled(2500), small::lists(2500)}) {
    auto policy = small::policy<TestType>();
    auto cache = cached<T>::of(policy, data, 7);
    shuffled at(data);
    CHECK(log_probs<T>(cache, at.batch.slice(0, 2500)) ==
          log_probs<T>(policy, at.batch.slice(0, 2500)));
    CHECK(log_probs<T>(cache, at.batch.slice(1000, 9)) ==
          log_probs<T>(policy, at.batch.slice(1000, 9)));
    if (!at.batch.has_kl_examples()) continue;
    CHECK(log_probs<T>(cache, at.batch.kl_slice(1000, 900)) ==
          log_probs<T>(policy, at.batch.kl_slice(1000, 900)));
  }
}

TEST_CASE("cached: training on it has the bits of training on the model", "[reference][cached]") {
  prefer::train_options const options{
      .batch_size = 4, .epochs = 3, .rate = 0.05, .allow_logits = false};
  auto const compare = [&](auto const& loss, choice_data const& data) {
    auto start = small::policy<table>();
    auto direct = prefer::frozen(start);
    auto cache = cached<double>::of(start, data, 7);
    auto one = small::policy<table>();
    auto two = small::policy<table>();
    prefer::trainer(one, loss, direct, data, options).run();
    prefer::trainer(two, loss, cache, data, options).run();
    CHECK(state_of(one) == state_of(two));
    CHECK(state_of(one) != state_of(start));
  };
  compare(prefer::dpo{}, small::pairs(23));
  compare(prefer::kto{}, small::labelled(23));
}

TEST_CASE("cached: a file gives back the same bits", "[reference][cached]") {
  temporary_folder folder;
  auto const data = small::labelled(23);
  auto policy = small::policy<table>();
  auto const cache = cached<double>::of(policy, data, 7);
  cache.save(folder / "cache");
  auto const again = cached<double>::load(folder / "cache", data, 7);
  CHECK(again.identity() == cache.identity());
  shuffled at(data);
  auto const batch = at.batch.slice(0, 23);
  CHECK(log_probs<double>(again, batch) == log_probs<double>(cache, batch));
  auto const others = at.batch.kl_slice(0, 23);
  CHECK(log_probs<double>(again, others) == log_probs<double>(cache, others));
}

TEST_CASE("cached: asks by row number, so a reference may look up rows itself",
          "[reference][cached]") {
  auto const data = small::labelled(2100);
  by_row direct;
  auto const cache = cached<double>::of(direct, data, 7);
  shuffled at(data);
  CHECK(log_probs<double>(cache, at.batch.slice(0, 2100)) ==
        log_probs<double>(direct, at.batch.slice(0, 2100)));
  CHECK(log_probs<double>(cache, at.batch.kl_slice(0, 2100)) ==
        log_probs<double>(direct, at.batch.kl_slice(0, 2100)));
}

TEST_CASE("cached: stores another float than its model", "[reference][cached]") {
  auto const data = small::pairs(3);
  auto policy = small::policy<table>();
  auto const cache = cached<float>::of(policy, data, 7);
  shuffled at(data);
  auto const exact = log_probs<double>(policy, at.batch.slice(0, 3));
  auto const rounded = log_probs<float>(cache, at.batch.slice(0, 3));
  for (std::size_t i = 0; i < 6; ++i) CHECK(rounded[i] == static_cast<float>(exact[i]));
}

TEST_CASE("cached: knows by itself what it was made of, and a stale file is refused",
          "[reference][cached]") {
  temporary_folder folder;
  auto const path = folder / "cache";
  auto const data = small::labelled(9);
  auto policy = small::policy<table>();
  cached<double>::of(policy, data).save(path);
  auto const refusal = [&](table reference, choice_data const& its) {
    return message_of([&] { (void)cached<double>::load(path, its, reference); });
  };
  std::string const stale = "cached::load: " + path +
                            ": the cache is stale: it was made for another data set or model; "
                            "delete it and compute it again";
  CHECK(refusal(policy, data) == "");
  auto moved = policy;
  moved.parameters()[0].value[29] = 0.625;
  CHECK(refusal(moved, data) == stale);
  auto const with = [&](auto&& change) {
    auto other = data;
    change(other);
    return refusal(policy, other);
  };
  CHECK(with([](choice_data& of) { of.prompt[8] = 0; }) == stale);
  CHECK(with([](choice_data& of) { std::swap(of.completion[0], of.completion[1]); }) == stale);
  CHECK(with([](choice_data& of) { std::swap(of.kl_examples[0], of.kl_examples[1]); }) == stale);
  // What no reference is asked about is not part of it.
  CHECK(with([](choice_data& of) { of.weight.assign(9, 2.0f); }) == "");
  // A number in place of the reference is not the reference.
  CHECK(message_of([&] { (void)cached<double>::load(path, data, 7); }) == stale);
  cached<double>::of(policy, data, 7).save(path);
  CHECK(message_of([&] { (void)cached<double>::load(path, data, 7); }) == "");
  CHECK(message_of([&] { (void)cached<double>::load(path, data, 8); }) == stale);
  CHECK(refusal(policy, data) == stale);
}

TEST_CASE("cached: a file of another size or type is refused although its identity agrees",
          "[reference][cached]") {
  temporary_folder folder;
  auto const path = folder / "cache";
  auto const data = small::labelled(9);
  auto policy = small::policy<table>();
  cached<double>::of(policy, data, 7).save(path);
  auto const whole = prefer::archive::read(path);
  auto const refusal = [&](std::size_t completions, std::size_t kl_examples) {
    prefer::archive_writer file(path);
    file.add("format", whole.text("format"));
    file.add("made of", whole.number<std::uint64_t>("made of"));
    file.add("log_prob", std::vector<double>(completions));
    file.add("logit", std::vector<double>());
    file.add("kl_examples", std::vector<double>(kl_examples));
    file.commit();
    return message_of([&] { (void)cached<double>::load(path, data, 7); });
  };
  CHECK(refusal(9, 9) == "");
  CHECK_THAT(message_of([&] { (void)cached<float>::load(path, data, 7); }),
             Catch::Contains("is of type double, expected float"));
  CHECK(refusal(8, 9) ==
        "cached::load: " + path + ": the cache has 8 completions; the data set has 9");
  CHECK(refusal(9, 0) ==
        "cached::load: " + path + ": the cache has 0 KL examples; the data set has 9");
}

TEST_CASE("cached: a file that is missing, truncated or something else is refused",
          "[reference][cached]") {
  temporary_folder folder;
  auto const path = folder / "cache";
  auto const data = small::pairs(9);
  auto policy = small::policy<table>();
  auto const refusal = [&] {
    return message_of([&] { (void)cached<double>::load(path, data, 7); });
  };
  CHECK_THAT(refusal(), Catch::Contains(path) && Catch::Contains("No such file"));

  cached<double>::of(policy, data, 7).save(path);
  CHECK(refusal() == "");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 8);
  CHECK_THAT(refusal(), Catch::Contains(path) && Catch::Contains("truncated"));

  prefer::archive_writer other(path);
  other.add("format", "prefer trainer 1");
  other.commit();
  CHECK(refusal() == "cached::load: " + path + ": this file is not a reference cache");

  std::ofstream(path) << "user_id\titem_id\n";
  CHECK_THAT(refusal(), Catch::Contains(path) && Catch::Contains("not a prefer archive"));
}

TEST_CASE("cached: a full disk keeps the file of before", "[reference][cached]") {
  temporary_folder folder;
  auto const path = folder / "cache";
  auto const data = small::pairs(9);
  auto policy = small::policy<table>();
  cached<double>::of(policy, data, 7).save(path);
  auto const before = content_of(path);
  {
    file_size_limit const limit(100);
    CHECK_THAT(message_of([&] { cached<double>::of(policy, data, 8).save(path); }),
               Catch::Contains(path) && Catch::EndsWith("File too large"));
  }
  CHECK(content_of(path) == before);
  CHECK(folder.count() == 1);
}

TEST_CASE("cached: refuses a batch without rows, and rows that it does not have",
          "[reference][cached]") {
  auto const data = small::pairs(9);
  auto policy = small::policy<table>();
  auto const cache = cached<double>::of(policy, data, 7);
  auto const refusal = [&](choice_batch const& batch) {
    return message_of([&] { (void)log_probs<double>(cache, batch); });
  };
  CHECK(refusal(data.batch()) == "cached::log_prob: the batch has no row numbers to look up");

  shuffled larger(small::pairs(10));
  CHECK(refusal(larger.batch.slice(0, 10)) ==
        "cached::log_prob: row 9 with 2 completions is not in the cache");
  shuffled lists(small::lists(9));
  CHECK_THAT(refusal(lists.batch.slice(0, 9)), Catch::EndsWith("completions is not in the cache"));
  shuffled labelled(small::labelled(9));
  CHECK(refusal(labelled.batch.kl_slice(0, 1)) ==
        "cached::log_prob: row 1 with 1 completions is not in the cache");

  std::vector<double> small_out(3);
  shuffled at(data);
  CHECK(message_of([&] { cache.log_prob(at.batch.slice(0, 9), small_out); }) ==
        "cached::log_prob: out has 3 elements, expected 18");
}

TEST_CASE("cached: refuses data whose columns do not fit together", "[reference][cached]") {
  auto data = small::pairs(9);
  auto policy = small::policy<table>();
  data.completion.pop_back();
  CHECK(message_of([&] { (void)cached<double>::of(policy, data, 7); }) ==
        "cached::of: completion has 17 elements, expected 18");
}

TEST_CASE("cached: numbers of another model are looked up by row", "[reference][cached]") {
  // Lists of 2, 3, 4, 2, ... completions: what is given in the order of the data comes back in any other.
  auto const data = small::lists(9);
  std::vector<double> given;
  for (std::size_t i = 0; i < data.completion.size(); ++i)
    given.push_back(-0.5 * static_cast<double>(i));
  auto const reference = cached<float>::given(given, data, 7);
  shuffled at(data);
  auto const batch = at.batch.slice(0, 9);
  auto const found = log_probs<float>(reference, batch);
  for (std::size_t g = 0; g < batch.size(); ++g) {
    for (std::size_t i = batch.offset[g]; i < batch.offset[g + 1]; ++i) {
      CHECK(found[i] == given[data.offset[batch.row[g]] + i - batch.offset[g]]);
    }
  }

  auto const labelled = small::labelled(4);
  std::vector<float> const own = {-1, -2, -3, -4};
  std::vector<float> const others = {-5, -6, -7, 0};
  auto const both = cached<double>::given(own, labelled, 7, others);
  shuffled in(labelled);  // rows 1, 0, 3, 2
  CHECK(log_probs<double>(both, in.batch.slice(0, 4)) == std::vector<double>{-2, -1, -4, -3});
  CHECK(log_probs<double>(both, in.batch.kl_slice(0, 4)) == std::vector<double>{-6, -5, 0, -7});
}

TEST_CASE("cached: given numbers that equal a model's train to its bits, from a file too",
          "[reference][cached]") {
  temporary_folder folder;
  auto const data = small::pairs(23);
  auto start = small::policy<table>();
  std::vector<double> numbers(46);
  start.log_prob(data.batch(), numbers);
  auto reference = cached<double>::given(numbers, data, 7);
  reference.save(folder / "cache");
  auto again = cached<double>::load(folder / "cache", data, 7);
  auto direct = prefer::frozen(start);
  prefer::train_options const options{
      .batch_size = 4, .epochs = 3, .rate = 0.05, .allow_logits = false};
  auto one = small::policy<table>();
  auto two = small::policy<table>();
  prefer::trainer(one, prefer::dpo{}, direct, data, options).run();
  prefer::trainer(two, prefer::dpo{}, again, data, options).run();
  CHECK(state_of(one) == state_of(two));
}

TEST_CASE("cached: given numbers that are no log-probabilities, or too few, are refused",
          "[reference][cached]") {
  auto const data = small::pairs(3);
  auto const refusal = [&](std::vector<double> const& numbers) {
    return message_of([&] { (void)cached<float>::given(numbers, data, 7); });
  };
  CHECK(refusal({-1, -1, -1, -1, -1, -1}) == "");
  CHECK(refusal({-1, -1, -1, -1, -1}) == "cached::given: log_prob has 5 elements, expected 6");
  CHECK(refusal({-1, -1, -1, 0.5, -1, -1}) ==
        "cached::given: log_prob of row 1 is 0.500000; expected a log-probability, finite and at "
        "most 0");
  CHECK_THAT(refusal({-1, -1, -1, -1, std::nan(""), -1}), Catch::Contains("of row 2 is nan"));
  CHECK_THAT(refusal({-std::numeric_limits<double>::infinity(), -1, -1, -1, -1, -1}),
             Catch::Contains("of row 0 is -inf"));
  CHECK_THAT(refusal({-1e39, -1, -1, -1, -1, -1}), Catch::Contains("of row 0 is"));  // as a float
  auto const labelled = small::labelled(2);
  std::vector<double> const own = {-1, -1};
  CHECK(message_of([&] { (void)cached<float>::given(own, labelled, 7); }) ==
        "cached::given: kl_examples has 0 elements, expected 2");
  std::vector<double> const others = {-1, 1};
  CHECK_THAT(message_of([&] { (void)cached<float>::given(own, labelled, 7, others); }),
             Catch::Contains("kl_examples of row 1 is 1.000000"));
}
