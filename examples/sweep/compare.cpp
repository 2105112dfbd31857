// SPDX-License-Identifier: MIT
#include "compare.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/parallel/thread_pool.hpp>

#include "../program.hpp"
#include "grid.hpp"
#include "method_report.hpp"
#include "ratings.hpp"

namespace sweep {

namespace {

constexpr char const* usual_betas = "0.05,0.1,0.2,0.5,1,2,5,10";
constexpr char const* study_ns = "1,2,4,8,16,64,256,1024,4096,16384,65536";
constexpr std::size_t few_pairs = 50;  // with which over-optimisation is plain to see
constexpr char const* usual_steps = "1,2,5,10,20,50,100,200";
constexpr std::size_t usual_batch = 64;  // with a reward model, draws cost nothing
constexpr double usual_rate_of_ratings = 0.003;
constexpr std::size_t usual_batch_of_samples = 16;  // so that the usual budget gives 200 steps

std::vector<std::shared_ptr<method const>> read_methods(std::string const& text) {
  auto const all = all_methods();
  if (text == "all") return all;
  std::vector<std::shared_ptr<method const>> out;
  for (auto const& name : read_names("--method", text, names_of_methods(), "no method is named")) {
    for (auto const& each : all) {
      if (each->name() == name) out.push_back(each);
    }
  }
  return out;
}

std::vector<budget_kind> read_budgets(std::string const& text) {
  std::vector<budget_kind> out;
  for (auto const& name :
       read_names("--budget", text, {"labels", "samples"}, "there is no budget of")) {
    out.push_back(name == "labels" ? budget_kind::labels : budget_kind::samples);
  }
  return out;
}

std::vector<double> whole_numbers(std::string const& argument, std::string const& text,
                                  std::string const& of_what) {
  std::vector<double> out;
  for (std::uint64_t const one : read_whole(argument, text, of_what)) {
    out.push_back(static_cast<double>(one));
  }
  return out;
}

bool sweeps(comparison const& all, swept_number number) {
  return std::any_of(all.methods.begin(), all.methods.end(),
                     [&](auto const& each) { return each->swept() == number; });
}

/// Two items of a person at a time are the fewest that a method draws.
std::size_t most_of_ratings(task const& of) {
  return 2 * dynamic_cast<ratings const&>(of).data().people_with_preferences();
}
std::size_t usual_batch_of_ratings(task const& of) {
  return std::clamp<std::size_t>(most_of_ratings(of) / group * group, group, 1024);
}
void expect_batch_of_ratings(task const& of, std::size_t batch) {
  if (batch % group != 0) {
    prefer::refuse("--batch: found " + std::to_string(batch) +
                   "; on ratings expected a multiple of " + std::to_string(group) +
                   ", as so many items of a person are drawn at a time");
  }
  std::size_t const most = std::max(most_of_ratings(of), group);
  if (batch > most) {
    prefer::refuse("--batch: found " + std::to_string(batch) + "; expected at most " +
                   std::to_string(most) +
                   ", two items of each person who has preferences, so that a step asks nobody "
                   "twice");
  }
}

ground make_ground(std::string const& name, budget_kind budget, method_arguments const& given,
                   shared_arguments const& shared) {
  task_options how = shared.task;
  how.name = name;
  bool const of_ratings = name == "ratings";
  if (how.pairs == 0) how.pairs = of_ratings ? 20000 : 200;
  double const rate = shared.rate != 0.0 ? shared.rate
                      : of_ratings       ? usual_rate_of_ratings
                                         : method_options{}.rate;
  how.rate = rate;  // of what a task trains itself
  if (of_ratings && budget == budget_kind::samples) {
    prefer::refuse(
        "--budget samples: on ratings nobody has scored everything that a policy might "
        "recommend; give --budget labels");
  }
  std::uint64_t const amount = budget == budget_kind::labels ? how.pairs : given.samples;
  if (budget == budget_kind::samples) how.pairs = static_cast<std::size_t>(amount / 2);
  ground out{.name = name, .of = make_task(how), .options = {}};
  out.options.budget = budget;
  out.options.amount = amount;
  out.options.batch = given.batch != 0                ? static_cast<std::size_t>(given.batch)
                      : of_ratings                    ? usual_batch_of_ratings(*out.of)
                      : budget == budget_kind::labels ? usual_batch
                                                      : usual_batch_of_samples;
  if (of_ratings) expect_batch_of_ratings(*out.of, out.options.batch);
  out.options.rate = rate;
  out.options.fit = given.fit == "adamw" ? reward_fit::adamw : reward_fit::descent;
  auto losses =
      read_losses("--loss", shared.loss.empty() ? "dpo" : shared.loss, out.of->token_columns());
  if (losses.size() != 1) {
    prefer::refuse("--loss: with --method there is one loss; found \"" + shared.loss + "\"");
  }
  out.options.loss = std::move(losses.front());
  return out;
}

void expect_flags_meant(comparison const& all, method_arguments const& given,
                        shared_arguments const& shared) {
  auto const refuse_unless = [](bool holds, std::string const& sentence) {
    if (!holds) prefer::refuse(sentence);
  };
  auto const budget = [&](budget_kind kind) {
    return std::any_of(all.grounds.begin(), all.grounds.end(),
                       [&](ground const& each) { return each.options.budget == kind; });
  };
  auto const any_method = [&](auto const& has) {
    return std::any_of(all.methods.begin(), all.methods.end(),
                       [&](auto const& each) { return has(*each); });
  };
  bool const loss = any_method([](method const& each) { return each.reads_loss(); });
  method_arguments const usual;
  refuse_unless(
      shared.loss.empty() || loss,
      "--loss goes with --method dpo, and of these methods none reads it: " + given.method);
  refuse_unless(shared.reference.empty(),
                "--reference goes without --method: all methods are held near the start");
  refuse_unless(shared.beta.empty() || sweeps(all, swept_number::beta),
                "--beta: none of these methods has one: " + given.method);
  refuse_unless(shared.steps.empty() || sweeps(all, swept_number::steps),
                "--steps goes with --method sft_on_chosen, whose steps are what is swept");
  bool const labels = budget(budget_kind::labels);
  refuse_unless(labels || (shared.flip.empty() && shared.bias == 0.0),
                "--flip and --bias are of labels, and with --budget samples nobody labels");
  refuse_unless(labels || given.fit == "descent",
                "--fit is of reward models, and with --budget samples none is fitted");
  refuse_unless(labels || shared.task.pairs == 0,
                "--pairs goes with --budget labels; with samples give --samples");
  refuse_unless(budget(budget_kind::samples) || given.samples == usual.samples,
                "--samples goes with --budget samples; with labels give --pairs");
  refuse_unless(given.n == usual.n || sweeps(all, swept_number::n),
                "--n goes with --method best_of_n, and it is not among these: " + given.method);
  bool const on_ratings = shared.task.name == "ratings";
  refuse_unless(given.fit == usual.fit ||
                    any_method([&](method const& each) { return each.asks_reward(on_ratings); }),
                "--fit is of reward models, and of these methods none asks one: " + given.method);
  // What is known without training has on ratings still its reward model to fit, which --fit adamw does at a rate of its own.
  bool const fitted_at_rate = on_ratings && given.fit == usual.fit;
  refuse_unless(shared.rate == 0.0 || any_method([&](method const& each) {
                  bool const trained = each.swept() != swept_number::n && !each.is_yardstick();
                  return each.writes_batches() || fitted_at_rate || (on_ratings && trained);
                }),
                "--rate is of methods that take AdamW, and these do not: " + given.method);
  refuse_unless(
      given.batch == 0 || any_method([](method const& each) { return each.writes_batches(); }),
      "--batch is of methods that write at each step, and these do not: " + given.method);
}

/// All that is left to do on one problem, whose reward model is fitted once, by who comes first.
struct job {
  std::size_t ground = 0;
  std::uint64_t seed = 0;
  label_noise noise = {};
  std::vector<method_setting> settings = {};
  std::once_flag begun = {};
  std::unique_ptr<arena const> on = {};
  std::atomic<std::size_t> left = 0;  // settings that are not done

  arena const& begin(comparison const& all) {
    std::call_once(begun, [&] {
      auto const& at = all.grounds[ground];
      on = std::make_unique<arena const>(*at.of, at.of->make(seed, noise), seed, at.options);
    });
    return *on;
  }
  void end_one() {
    if (--left == 0) on.reset();
  }
};

std::deque<job> jobs_of(comparison const& all, method_results const& kept) {
  std::deque<job> out;
  // By seeds, so that what an interruption leaves compares all methods on the same problems.
  for (std::uint64_t seed = all.first_seed; seed <= all.last_seed(); ++seed) {
    std::map<std::pair<std::size_t, double>, job*> here;
    for (auto const& what : all.settings()) {
      if (kept.has(what, seed)) continue;
      job*& one = here[{what.ground, what.noise.flip}];
      if (one == nullptr) {
        one = &out.emplace_back();
        one->ground = what.ground;
        one->seed = seed;
        one->noise = what.noise;
      }
      one->settings.push_back(what);
      ++one->left;
    }
  }
  return out;
}

void report(comparison const& all, method_results const& kept, std::string const& html,
            program::handover& results) {
  program::progress shown(0, "report");
  auto const found = findings_of(all, kept);
  auto const page = method_page(all, found);
  shown.finish();
  results.attempt([&] {
    if (program::as_json) {
      program::print_json(json_of(all, found));
    } else {
      program::print(page.text());
    }
    program::flush();
  });
  results.attempt([&] { page.write_html(html); });
  for (auto const& fault : page.faults()) results.fault(html + ": " + fault);
}

}  // namespace

void declare_methods(CLI::App& app, method_arguments& given,
                     std::function<void(CLI::Option*)> const& of_the_grid) {
  std::vector<std::string> known = names_of_methods();
  known.push_back("all");
  program::suggested["--method"] = known;
  program::suggested["--budget"] = {"labels", "samples"};
  of_the_grid(app.add_option("--method", given.method,
                             "Compares ways to a policy instead of losses; all: every one")
                  ->type_name("LIST")
                  ->check(program::not_empty("a list")));
  of_the_grid(app.add_option("--budget", given.budget,
                             "What methods may spend the same amount of: labels, samples or both")
                  ->type_name("LIST")
                  ->check(program::not_empty("a list"))
                  ->capture_default_str());
  of_the_grid(app.add_option("--samples", given.samples,
                             "Completions that the true reward scores, of --budget samples")
                  ->check(program::whole(2, 100000000))
                  ->capture_default_str());
  of_the_grid(
      app.add_option("--fit", given.fit,
                     "How a reward model is fitted: descent, as dpo is, or adamw, as is usual")
          ->check(program::one_of({"descent", "adamw"}))
          ->capture_default_str());
  of_the_grid(app.add_option("--n", given.n, "Completions of which best_of_n keeps one")
                  ->type_name("LIST")
                  ->check(program::not_empty("a list"))
                  ->capture_default_str());
  of_the_grid(app.add_option("--batch", given.batch,
                             "Completions that an online method writes at each step [64; of "
                             "samples 16; on ratings 1024]")
                  ->check(program::whole(2, 1000000)));
  of_the_grid(
      app.add_option("--first-seed", given.first_seed, "The seeds are this one and the next")
          ->check(program::whole(1, 1000000))
          ->capture_default_str());
}

comparison comparison_of(method_arguments const& given, shared_arguments const& shared) {
  comparison all;
  bool const study = shared.study == "rlhf";
  all.methods = read_methods(study ? "all" : given.method);
  auto const budgets = read_budgets(study ? "labels,samples" : given.budget);
  auto const names = study ? std::vector<std::string>{"bandit", "markov"}
                           : std::vector<std::string>{shared.task.name};
  for (auto const& name : names) {
    for (auto const budget : budgets)
      all.grounds.push_back(make_ground(name, budget, given, shared));
  }
  if (study) {
    method_arguments usual = given;
    usual.fit = "adamw";
    shared_arguments few = shared;
    few.task.pairs = few_pairs;
    all.grounds.push_back(make_ground("markov", budget_kind::labels, usual, few));
  }
  expect_flags_meant(all, given, shared);
  all.betas =
      read_betas("--beta", shared.beta.empty() ? usual_betas : shared.beta, least_beta::zero);
  all.ns = whole_numbers("--n", study ? study_ns : given.n, "completions");
  all.steps = whole_numbers("--steps", shared.steps.empty() ? usual_steps : shared.steps, "steps");
  all.flips = read_flips("--flip", shared.flip.empty() ? "0" : shared.flip);
  all.bias = shared.bias;
  all.first_seed = given.first_seed;
  bool const costly = shared.task.name == "ratings" && !study;
  all.seeds = study ? 100 : shared.seeds != 0 ? shared.seeds : costly ? 3 : 20;
  if (!study && given.method != "all") expect_meaning(all);
  for (auto const& one : all.methods) {
    if (one->swept() != swept_number::beta || all.betas.front() != 0.0) continue;
    std::string const why = one->why_not(all.grounds.front().options, 0.0);
    if (!why.empty()) program::warn("--beta: " + one->name() + " is not run at 0: " + why);
  }
  if (all.settings().empty()) prefer::refuse("--method all: none can be had here");
  return all;
}

int compare(method_arguments const& given, shared_arguments const& shared) {
  comparison const all = comparison_of(given, shared);
  std::string const csv = shared.output + "/sweep.csv";
  std::string const html = shared.output + "/sweep.html";
  program::stop_when_asked();
  program::expect_folder(shared.output, {"sweep.csv", "sweep.csv.journal", "sweep.html"});
  program::claim const alone(csv);
  method_results kept(csv, all);
  auto jobs = jobs_of(all, kept);
  std::vector<std::pair<job*, std::size_t>> runs;
  for (auto& each : jobs) {
    for (std::size_t s = 0; s < each.settings.size(); ++s) runs.emplace_back(&each, s);
  }
  std::size_t const total = all.settings().size() * all.seeds;
  if (runs.size() < total) {
    program::say(std::to_string(total) + " runs, of which " + std::to_string(total - runs.size()) +
                 " are in " + csv + " already");
  }

  prefer::thread_pool pool(shared.threads);
  {
    program::progress shown(runs.size());
    pool.executor().for_each_chunk(runs.size(), [&](std::size_t r) {
      if (program::interrupted) return;
      auto& [one, setting] = runs[r];
      auto const& what = one->settings[setting];
      kept.add(what, one->seed, all.methods[what.method]->run(one->begin(all), what.number));
      one->end_one();
      shown.advance(1, "seed " + std::to_string(one->seed));
    });
  }
  kept.finish();
  if (program::interrupted) return program::stopped("finished runs are in " + csv);

  program::handover results;
  results.attempt([&] { report(all, kept, html, results); });
  int const code = results.finish();
  if (code == 0) program::wrote({csv, html});
  return code;
}

}  // namespace sweep
