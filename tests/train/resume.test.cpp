// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>
#include <support/file_size_limit.hpp>
#include <support/temporary_folder.hpp>
#include <train/small_problem.hpp>
#include <vector>

#include "resume_subjects.hpp"

using prefer::choice_data;
using prefer::step_report;
using prefer::train_options;
using prefer::trainer;
using small::message_of;
using small::state_of;

using namespace resume_subjects;

namespace {

using prefer::no_reference;

using step_values = std::vector<double>;
step_values values_of(step_report const& r) {
  return {static_cast<double>(r.step),
          static_cast<double>(r.steps),
          r.loss,
          r.learning_rate,
          r.beta,
          r.gradient_norm};
}

// Trains to the end, once without a break and once with a break after every step: each piece is a new
// policy, reference and trainer that know only the file.
template <class P, class L, class Beta = prefer::beta_of_the_loss>
void resumes_to_the_same_bits(L const& loss, choice_data const& data, auto const& make_reference,
                              Beta const& beta = {}) {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  train_options const options{
      .batch_size = 4,
      .epochs = 2,
      .seed = 5,
      .rate = prefer::learning_rate::cosine({.peak = 0.05, .steps = 6, .warm_up = {.steps = 2}}),
      .optimizer = {.weight_decay = 0.1},
      .max_gradient_norm = 0.2};

  auto policy = small::policy<P>();
  auto reference = make_reference(policy);
  trainer whole(policy, loss, reference, data, options, beta);
  std::vector<step_values> expected;
  whole.run([&](step_report const& r) { expected.push_back(values_of(r)); });
  REQUIRE(expected.size() == 6);

  std::vector<step_values> pieces;
  for (std::size_t piece = 0; piece < 6; ++piece) {
    auto start = small::policy<P>();
    auto its_reference = make_reference(start);
    trainer run(start, loss, its_reference, data, options, beta);
    if (piece != 0) run.resume(path);
    CHECK(run.steps_done() == piece);
    pieces.push_back(values_of(run.step()));
    run.save(path);
    if (piece == 5) {
      CHECK(run.done());
      CHECK(state_of(start) == state_of(policy));
    }
  }
  CHECK(pieces == expected);
  CHECK(folder.count() == 1);  // no temporary is left
}

std::string bytes_of(std::string const& path) { return content_of(path); }
void write(std::string const& path, std::string const& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// A run of two steps, saved, and everything to build its like.
struct saved_run {
  temporary_folder folder;
  std::string path = folder / "checkpoint";
  choice_data data = small::pairs(10);
  train_options options{.batch_size = 4, .epochs = 2, .seed = 5, .rate = 0.05};
  no_reference<double> reference;

  saved_run() {
    auto policy = small::policy<table>();
    trainer run(policy, prefer::dpo{.beta = 0.5}, reference, data, options);
    run.step();
    run.step();
    run.save(path);
  }

  // The message of resume into a trainer made of these, which must have changed nothing: the run goes on
  // as it would have.
  template <class L>
  std::string refusal(L const& loss, choice_data const& other, train_options const& its) {
    auto policy = small::policy<table>();
    auto untouched = small::policy<table>();
    trainer run(policy, loss, reference, other, its);
    trainer same(untouched, loss, reference, other, its);
    run.step();
    same.step();
    auto const message = message_of([&] { run.resume(path); });
    CHECK(run.steps_done() == 1);
    run.run();
    same.run();
    CHECK(state_of(policy) == state_of(untouched));
    CHECK(run.steps_done() == same.steps_done());
    return message;
  }
  std::string refusal() { return refusal(prefer::dpo{.beta = 0.5}, data, options); }
};

std::string const of_another_run =
    ": this checkpoint was made with another loss, beta rule, seed, batch size, learning rate, "
    "optimizer or set of trained parameters";
std::string const of_another_reference =
    ": this checkpoint was made with another reference: of another kind, with other settings, or "
    "with other numbers in it";

auto const no_reference_for = [](auto const& policy) {
  return prefer::no_reference<typename std::remove_cvref_t<decltype(policy)>::value_type>{};
};
auto const frozen_copy = [](auto const& policy) { return prefer::frozen(policy); };

}  // namespace

TEMPLATE_TEST_CASE("resume: a run in pieces has the bits of one without a break", "[train][resume]",
                   prefer::tabular<float>, prefer::tabular<double>,
                   prefer::matrix_factorization<float>, prefer::log_linear<double>) {
  auto const pairs = small::pairs(10);
  SECTION("of a loss of margins") {
    resumes_to_the_same_bits<TestType>(prefer::dpo{}, pairs, frozen_copy);
  }
  SECTION("of a loss that reads more") {
    resumes_to_the_same_bits<TestType>(prefer::simpo{}, small::with_lengths(pairs),
                                       no_reference_for);
  }
  SECTION("of a loss with a batch statistic") {
    resumes_to_the_same_bits<TestType>(prefer::kto{}, small::labelled(10), frozen_copy);
  }
  SECTION("of a loss that remembers earlier batches") {
    resumes_to_the_same_bits<TestType>(running_mean{}, pairs, frozen_copy);
  }
  SECTION("of lists") {
    resumes_to_the_same_bits<TestType>(prefer::plackett_luce{}, small::lists(10), frozen_copy);
  }
  SECTION("with a beta that changes") {
    resumes_to_the_same_bits<TestType>(prefer::dpo{}, pairs, frozen_copy,
                                       prefer::linear_beta{.from = 0.1, .to = 1.0, .steps = 5});
  }
}

TEST_CASE("resume: a reference that moves goes on from where it was", "[train][resume]") {
  resumes_to_the_same_bits<table>(prefer::dpo{}, small::pairs(10),
                                  [](table const& policy) { return following{policy}; });
}

TEST_CASE("resume: a cached reference goes on by its identity", "[train][resume]") {
  auto const data = small::pairs(10);
  auto const cache_of = [&](table& policy) { return prefer::cached<double>::of(policy, data); };
  resumes_to_the_same_bits<table>(prefer::dpo{}, data, cache_of);

  temporary_folder folder;
  auto policy = small::policy<table>();
  table uniform(small::prompts, small::completions);
  auto first = cache_of(policy);
  auto other = cache_of(uniform);
  trainer(policy, prefer::dpo{}, first, data).save(folder / "checkpoint");
  trainer run(policy, prefer::dpo{}, other, data);
  CHECK(message_of([&] { run.resume(folder / "checkpoint"); }) ==
        "resume: " + (folder / "checkpoint") + of_another_reference);
}

TEST_CASE("resume: counts, patience and best values of early stopping go on", "[train][resume]") {
  auto const data = small::pairs(20);
  no_reference<double> reference;
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  train_options const options{.batch_size = 2, .rate = 0.05};
  prefer::evaluation_plan const plan{.every = 2, .patience = 3, .restore_best = true};
  // By steps 2, 4, 6, 8, 10: the best at 4, patience ends at 10.
  std::vector<double> const scores = {1, 3, 2, 2, 2, 9, 9, 9, 9, 9};

  auto const score_at = [&](auto const& run) {
    return [&](table&) { return scores[run.steps_done() / 2 - 1]; };
  };
  auto policy = small::policy<table>();
  trainer whole(policy, prefer::dpo{}, reference, data, options);
  CHECK(whole.run([](step_report const&) {}, plan, score_at(whole)) ==
        prefer::run_outcome::stopped_early);
  CHECK(whole.steps_done() == 10);

  for (std::uint64_t const cut : std::vector<std::uint64_t>{1, 4, 6, 7, 9}) {
    INFO("cut after step " << cut);
    {
      auto first = small::policy<table>();
      trainer run(first, prefer::dpo{}, reference, data, options);
      run.run([&](step_report const& r) { return r.step < cut; }, plan, score_at(run));
      run.save(path);
    }
    auto second = small::policy<table>();
    trainer run(second, prefer::dpo{}, reference, data, options);
    run.resume(path);
    CHECK(run.best_evaluation() == (cut < 2   ? -std::numeric_limits<double>::infinity()
                                    : cut < 4 ? 1.0
                                              : 3.0));
    CHECK(run.run([](step_report const&) {}, plan, score_at(run)) ==
          prefer::run_outcome::stopped_early);
    CHECK(run.steps_done() == 10);
    CHECK(state_of(second) == state_of(policy));
  }
}

TEST_CASE("resume: a run that had stopped early stays stopped", "[train][resume]") {
  auto const data = small::pairs(20);
  no_reference<double> reference;
  temporary_folder folder;
  auto policy = small::policy<table>();
  trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 2});
  run.run([](step_report const&) {}, {.every = 1, .patience = 1}, [](table&) { return 0.0; });
  CHECK(run.steps_done() == 2);
  run.save(folder / "checkpoint");
  trainer again(policy, prefer::dpo{}, reference, data, {.batch_size = 2});
  again.resume(folder / "checkpoint");
  CHECK(again.done());
  CHECK(again.run() == prefer::run_outcome::stopped_early);
}

TEST_CASE("resume: a run may be prolonged, and cut into other micro-batches", "[train][resume]") {
  saved_run at;
  auto whole = small::policy<table>();
  auto longer = at.options;
  longer.epochs = 4;
  trainer(whole, prefer::dpo{.beta = 0.5}, at.reference, at.data, longer).run();

  auto policy = small::policy<table>();
  longer.micro_batch_size = 1;
  trainer run(policy, prefer::dpo{.beta = 0.5}, at.reference, at.data, longer);
  run.resume(at.path);
  CHECK(run.run() == prefer::run_outcome::finished);
  CHECK(run.steps_done() == 12);
  CHECK(state_of(policy) == state_of(whole));
}

TEST_CASE("resume: another data set is refused", "[train][resume]") {
  saved_run at;
  auto other = at.data;
  std::swap(other.completion[0], other.completion[1]);
  CHECK(at.refusal(prefer::dpo{.beta = 0.5}, other, at.options) ==
        "resume: " + at.path + ": this checkpoint belongs to another data set");
}

TEST_CASE("resume: another loss, beta, seed, batch size, rate or optimizer is refused",
          "[train][resume]") {
  saved_run at;
  std::string const expected = "resume: " + at.path + of_another_run;
  CHECK(at.refusal(prefer::hinge{.beta = 0.5}, at.data, at.options) == expected);
  CHECK(at.refusal(prefer::dpo{.beta = 0.25}, at.data, at.options) == expected);
  CHECK(at.refusal(prefer::dpo{.beta = 0.5, .label_smoothing = 0.1}, at.data, at.options) ==
        expected);
  auto const with = [&](auto&& change) {
    auto options = at.options;
    change(options);
    return at.refusal(prefer::dpo{.beta = 0.5}, at.data, options);
  };
  CHECK(with([](train_options& o) { o.seed = 6; }) == expected);
  CHECK(with([](train_options& o) { o.batch_size = 5; }) == expected);
  CHECK(with([](train_options& o) { o.rate = 0.06; }) == expected);
  CHECK(with([](train_options& o) {
          o.rate = prefer::learning_rate::linear({.peak = 0.05, .steps = 100000});
        }) == expected);
  CHECK(with([](train_options& o) { o.optimizer.beta1 = 0.8; }) == expected);
  CHECK(with([](train_options& o) { o.optimizer.beta2 = 0.8; }) == expected);
  CHECK(with([](train_options& o) { o.optimizer.epsilon = 1e-6; }) == expected);
  CHECK(with([](train_options& o) { o.optimizer.weight_decay = 0.1; }) == expected);
  for (prefer::adamw_group const& group :
       {prefer::adamw_group{.parameters = "*", .weight_decay = 0.1},
        prefer::adamw_group{.parameters = "*", .rate_factor = 2},
        prefer::adamw_group{.parameters = "*", .frozen = true}}) {
    CHECK(with([&](train_options& o) { o.optimizer.groups = {group}; }) == expected);
  }
  CHECK(with([](train_options& o) { o.max_gradient_norm = 1; }) == expected);
  CHECK(with([](train_options& o) { o.allow_logits = false; }) == expected);
}

TEST_CASE("resume: losses without a name are told apart by what they compute", "[train][resume]") {
  auto const data = small::pairs(10);
  no_reference<double> reference;
  temporary_folder folder;
  auto policy = small::policy<table>();
  auto const weighted = [](double strength) {
    return prefer::pair_loss(
        [strength](auto const& p) { return softplus(-strength * p.log_ratio_margin()); });
  };
  trainer(policy, weighted(0.5), reference, data).save(folder / "lambda");
  trainer same(policy, weighted(0.5), reference, data);
  CHECK(message_of([&] { same.resume(folder / "lambda"); }) == "");
  trainer stronger(policy, weighted(0.6), reference, data);
  CHECK_THAT(message_of([&] { stronger.resume(folder / "lambda"); }),
             Catch::EndsWith(of_another_run));

  // Both have the parameters weight, beta, weight, beta of the same values.
  auto const one = 1.0 * prefer::dpo{.beta = 0.5} + 1.0 * prefer::hinge{.beta = 0.5};
  auto const two = 1.0 * prefer::hinge{.beta = 0.5} + 1.0 * prefer::hinge{.beta = 0.5};
  trainer(policy, one, reference, data).save(folder / "sum");
  trainer other(policy, two, reference, data);
  CHECK_THAT(message_of([&] { other.resume(folder / "sum"); }), Catch::EndsWith(of_another_run));
}

TEST_CASE("resume: another policy is refused", "[train][resume]") {
  saved_run at;
  prefer::tabular<float> narrow(small::prompts, small::completions);
  prefer::no_reference<float> reference;
  trainer floats(narrow, prefer::dpo{.beta = 0.5}, reference, at.data, at.options);
  CHECK(message_of([&] { floats.resume(at.path); }) ==
        "archive: " + at.path + ": entry 'value/logits' is of type double, expected float");
  CHECK(state_of(narrow) == std::vector<float>(30));

  table wide(small::prompts, small::completions + 1);
  trainer larger(wide, prefer::dpo{.beta = 0.5}, at.reference, at.data, at.options);
  CHECK_THAT(message_of([&] { larger.resume(at.path); }), Catch::EndsWith(of_another_run));
}

TEST_CASE("resume: a file that is missing, damaged or something else is refused",
          "[train][resume]") {
  saved_run at;
  std::string const whole = bytes_of(at.path);

  auto truncated = whole;
  truncated.resize(whole.size() - 9);
  write(at.path, truncated);
  CHECK_THAT(at.refusal(), Catch::Contains(at.path) && Catch::Contains("truncated"));

  write(at.path, "");
  CHECK_THAT(at.refusal(), Catch::Contains(at.path) && Catch::Contains("not a prefer archive"));

  for (std::size_t place : {std::size_t{30}, whole.size() / 2, whole.size() - 1}) {
    auto damaged = whole;
    damaged[place] = static_cast<char>(damaged[place] ^ 4);
    write(at.path, damaged);
    CHECK_THAT(at.refusal(), Catch::Contains(at.path) && Catch::Contains("damaged"));
  }

  prefer::archive_writer other(at.path);
  other.add("format", "prefer reference cache 1");
  other.commit();
  CHECK(at.refusal() == "resume: " + at.path + ": this file is not a trainer's checkpoint");

  std::filesystem::remove(at.path);
  CHECK_THAT(at.refusal(), Catch::Contains(at.path) && Catch::Contains("No such file"));
}

TEST_CASE("resume: a checkpoint that lacks one entry changes nothing, the reference included",
          "[train][resume]") {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  auto const data = small::pairs(10);
  train_options const options{.batch_size = 4};
  {
    auto policy = small::policy<table>();
    following reference{policy};
    trainer run(policy, prefer::dpo{}, reference, data, options);
    run.run([](step_report const&) {}, {.every = 1, .restore_best = true},
            [](table&) { return 0.0; });
    run.save(path);
  }
  auto const whole = prefer::archive::read(path);
  for (auto const& left_out : whole.names()) {
    INFO("without " << left_out);
    prefer::archive_writer file(path);
    for (auto const& name : whole.names()) {
      if (name == left_out) continue;
      if (name == "format" || name == "memory") {
        file.add(name, whole.text(name));
      } else if (name == "best") {
        file.add(name, whole.number<double>(name));
      } else if (name.find("logits") != std::string::npos &&
                 name.find("step") == std::string::npos) {
        file.add(name, whole.get<double>(name));
      } else {
        file.add(name, whole.number<std::uint64_t>(name));
      }
    }
    file.commit();
    auto policy = small::policy<table>();
    following reference{policy};
    trainer run(policy, prefer::dpo{}, reference, data, options);
    auto const before = state_of(policy);
    auto const message = message_of([&] { run.resume(path); });
    if (left_out == "best/logits") continue;  // a run without best values is a good one
    CHECK_FALSE(message.empty());
    CHECK(state_of(policy) == before);
    CHECK(state_of(reference.model) == before);
    CHECK(run.steps_done() == 0);
    CHECK(run.best_evaluation() == -std::numeric_limits<double>::infinity());
  }
}

TEST_CASE("save: a full disk keeps the checkpoint of before", "[train][resume]") {
  saved_run at;
  auto const before = bytes_of(at.path);
  auto policy = small::policy<table>();
  trainer run(policy, prefer::dpo{.beta = 0.5}, at.reference, at.data, at.options);
  {
    file_size_limit const limit(100);
    CHECK_THAT(message_of([&] { run.save(at.path); }),
               Catch::StartsWith("atomic_file: " + at.path) && Catch::EndsWith("File too large"));
  }
  CHECK(bytes_of(at.path) == before);
  CHECK(at.folder.count() == 1);
  run.save(at.path);  // there is room again
  CHECK(bytes_of(at.path) != before);
}

TEST_CASE("save: a folder that is not there is named", "[train][resume]") {
  saved_run at;
  auto policy = small::policy<table>();
  trainer run(policy, prefer::dpo{}, at.reference, at.data, at.options);
  std::string const path = at.folder / "missing/checkpoint";
  CHECK(message_of([&] { run.save(path); }) ==
        "atomic_file: " + path + ": cannot create file: No such file or directory");
}

TEST_CASE("save: the same state is the same file", "[train][resume]") {
  saved_run at;
  saved_run again;
  CHECK(bytes_of(at.path) == bytes_of(again.path));
}
